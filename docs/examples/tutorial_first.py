import asyncio

from mt.aio import sleep, srun


async def brew(cups: int, context_vars: dict) -> str:
    for cup in range(cups):
        await sleep(0.01, context_vars=context_vars)
        print("cup", cup + 1)
    return "done"


print(srun(brew, 2))  # plain code: this line takes until the coffee is ready


async def breakfast() -> None:
    context_vars = {"async": True}
    done = await asyncio.gather(
        brew(1, context_vars=context_vars), brew(1, context_vars=context_vars)
    )
    print(done)


asyncio.run(breakfast())  # an event loop: both pots at the same time
