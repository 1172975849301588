import asyncio

import h5py

from mt.aio import CreateFileH5, srun


async def save_track(path: str, xs: list[float], context_vars: dict) -> None:
    async with CreateFileH5(path, context_vars=context_vars) as file:
        track = file.handle.create_group("track")  # an ordinary h5py.File
        track.attrs["unit"] = "m"
        await file.run(track.create_dataset, "x", data=xs)  # for large data: off the event loop
    # Only now is there a file of this name; after an error there would be none.


srun(save_track, "runs/1.h5", [0.0, 0.5, 2.0])  # the folder is created
asyncio.run(save_track("runs/2.h5", [1.0], context_vars={"async": True}))

with h5py.File("runs/1.h5") as file:
    print(file["track/x"][:], file["track"].attrs["unit"])
