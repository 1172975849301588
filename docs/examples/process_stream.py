import asyncio
from collections.abc import Iterator

from mt.aio import BgProcess


class Trainer(BgProcess):
    def child_handle_message(self, msg: int) -> Iterator[dict[str, float]]:
        for epoch in range(msg):
            yield {"epoch": epoch, "loss": 1 / (epoch + 1)}


async def main() -> None:
    async with Trainer() as trainer:
        async for part in trainer.stream(3):
            print(part)


asyncio.run(main())
