import asyncio

import aiojobs

done = []


async def save(number: int) -> None:
    await asyncio.sleep(0.001)
    done.append(number)


async def main() -> None:
    async with aiojobs.Scheduler(limit=10) as scheduler:
        for number in range(100):
            await scheduler.spawn(save(number))
    print(len(done), "saved")  # the end of the block has waited; what failed is in the log


asyncio.run(main())
