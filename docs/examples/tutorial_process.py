import asyncio

from mt.aio import BgProcess, srun


class Squarer(BgProcess):
    def child_handle_message(self, msg: list[float]) -> list[float]:
        """Run in the child process, once for each message."""
        print("squaring", msg)
        return [x * x for x in msg]


async def main() -> None:
    async with Squarer() as process:
        print(await process.send([1.0, 2.0, 3.0]))
        try:
            await process.send(["four"])
        except RuntimeError as exc:
            print("the child raised a", type(exc.__cause__).__name__)
        print(await process.send([4.0]))  # and goes on


asyncio.run(main())

with Squarer() as process:  # plain code
    print(srun(process.send, [5.0]))
