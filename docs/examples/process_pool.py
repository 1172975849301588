import asyncio

from mt.aio import BgProcess
from mt.aio.proc import BgProcessPool


class Squarer(BgProcess):
    def child_handle_message(self, msg: int) -> int:
        return msg * msg


async def main() -> None:
    async with BgProcessPool(Squarer, 2) as pool:
        print(await pool.send(5))
        print([reply async for reply in pool.map(range(6))])


asyncio.run(main())
