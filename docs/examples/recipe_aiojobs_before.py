import asyncio

import aiojobs

done = []


async def save(number: int) -> None:
    await asyncio.sleep(0.001)
    done.append(number)


async def main() -> None:
    async with aiojobs.Scheduler(limit=10) as scheduler:
        jobs = [await scheduler.spawn(save(number)) for number in range(100)]
        for job in jobs:
            await job.wait()  # or the end of the block closes those that are left
    print(len(done), "saved")


asyncio.run(main())
