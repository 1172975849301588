"""What `with` and `async with` do, for whatever has `close` and `aclose`."""

from __future__ import annotations

TYPE_CHECKING = False  # checkers take this very name for true
if TYPE_CHECKING:  # each child imports this module: it is to be quick
    from types import TracebackType
    from typing import Self


class Block:
    """Ends with the block that it is used in, however that is left."""

    if TYPE_CHECKING:

        def close(self) -> None:
            """End it."""

        async def aclose(self) -> None:
            """End it and wait until it has ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
