import asyncio

from mt.aio import json_load, json_save


async def main() -> None:
    context_vars = {"async": True}
    state = {"step": 0}
    for step in range(1, 4):
        state["step"] = step  # what is saved is the state at the time of the call
        last = await json_save(
            "out/state.json",
            state,
            context_vars=context_vars,
            file_write_delayed=True,
            make_dirs=True,
        )
    written = await last  # only where it matters that the file is there
    print(written, "bytes,", await json_load("out/state.json", context_vars=context_vars))


asyncio.run(main())
