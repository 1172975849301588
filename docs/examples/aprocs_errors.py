import asyncio

from mt.aio import AprocManager
from mt.aio.manager import CleanupTimeoutError


async def fail(text: str) -> None:
    raise ValueError(text)


async def main() -> None:
    manager = AprocManager()
    await manager.send(fail("one"))
    await manager.send(fail("two"))
    try:
        await manager.cleanup()
    except ExceptionGroup as group:
        print(*group.exceptions)

    await manager.send(asyncio.sleep(3600))
    try:
        await manager.cleanup(timeout=0.01)
    except CleanupTimeoutError as error:
        print(*[(cut.name, cut.state) for cut in error.cut_off])


asyncio.run(main())
