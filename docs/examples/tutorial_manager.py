import asyncio

from mt.aio import AprocManager, json_load, json_save, mkdtemp


async def save_all(folder: str, context_vars: dict) -> None:
    async with AprocManager(max_concurrency=8) as manager:
        for number in range(100):
            path = f"{folder}/{number}.json"
            await manager.send(json_save(path, [number], context_vars=context_vars))
    # The end of the block waits for all of them; what one raised is raised here.
    print(manager.done, "saved,", manager.failed, "failed")


async def main() -> None:
    context_vars = {"async": True}
    async with mkdtemp(context_vars=context_vars) as folder:
        await save_all(folder, context_vars=context_vars)
        print(await json_load(f"{folder}/99.json", context_vars=context_vars))


asyncio.run(main())
