import asyncio

from mt.aio import BgProcess


class Squarer(BgProcess):
    def child_handle_message(self, msg: int) -> int:
        return msg * msg


async def main() -> None:
    async with Squarer() as squarer:
        print(await squarer.send(7))


asyncio.run(main())
