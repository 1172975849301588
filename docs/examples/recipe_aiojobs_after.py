import asyncio

from mt.aio import AprocManager

done = []


async def save(number: int) -> None:
    await asyncio.sleep(0.001)
    done.append(number)


async def main() -> None:
    async with AprocManager(max_concurrency=10) as manager:
        for number in range(100):
            await manager.send(save(number))
    print(len(done), "saved")  # the end of the block has waited; what failed is raised


asyncio.run(main())
