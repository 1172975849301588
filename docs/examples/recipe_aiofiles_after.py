import asyncio

from mt.aio import json_load, json_save

context_vars = {"async": True}


async def main() -> None:
    state = {"step": 1}
    await json_save("state.json", state, context_vars=context_vars)
    print(await json_load("state.json", context_vars=context_vars))


asyncio.run(main())
