import asyncio

from mt.aio import CreateFileH5, json_load, json_save, srun
from mt.aio.fs import exists


async def record(url: str, runs: int, context_vars: dict) -> dict:
    try:
        await json_save(url, {"runs": runs}, context_vars=context_vars, exclusive=True)
    except FileExistsError as exc:
        print("taken:", exc.filename)
    return await json_load(url, context_vars=context_vars)


print(srun(record, "memory://lab/state.json", 1))  # plain code, no event loop
print(asyncio.run(record("memory://lab/state.json", 2, context_vars={"async": True})))

with CreateFileH5("memory://lab/squares.h5") as f:
    f.handle["x"] = [x * x for x in range(5)]
print(srun(exists, "memory://lab/squares.h5"))
