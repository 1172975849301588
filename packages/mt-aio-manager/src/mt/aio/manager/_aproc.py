"""One aproc in the manager's hands: what it is called, where it came from, how it is cut off."""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable
    from contextvars import Context
    from types import FrameType


class CutOff(NamedTuple):
    """One aproc that a `cleanup(timeout=...)` had to cut off."""

    name: str
    """The aproc's name: as given to `spawn`, the task's, or that of its `async def`."""
    place: str
    """`file:line` of the call that handed it to the manager."""
    state: str
    """`"not started"`, `"cancelled"`, or `"still running"` if it has not obeyed yet."""

    def __str__(self) -> str:
        """Show it in one line."""
        return f"{self.name} (sent at {self.place}): {self.state}"


class CleanupTimeoutError(TimeoutError):
    """`cleanup(timeout=...)` had to cut aprocs off; `cut_off` says which.

    Errors of other aprocs, which the policy 'raise' would have reported, are its `__cause__`.
    """

    def __init__(self, cut_off: tuple[CutOff, ...]) -> None:
        super().__init__(cut_off)
        self.cut_off = cut_off
        """What was cut off, in the order in which it was sent."""

    def __str__(self) -> str:
        """List the aprocs, one a line."""
        lines = [f"{len(self.cut_off)} aproc(s) had to be cut off:", *map(str, self.cut_off)]
        return "\n  ".join(lines)


class Aproc:
    """What the manager knows of an aproc until it is done."""

    __slots__ = ("awaitable", "context", "given_name", "line", "path", "state", "waiter")

    def __init__(self, awaitable: Awaitable[Any], name: str | None, sent_from: FrameType) -> None:
        if not isawaitable(awaitable):
            raise TypeError(
                f"an aproc is a future, a task, a coroutine or another awaitable, "
                f"not {type(awaitable).__name__}"
            )
        self.awaitable = awaitable
        self.given_name = name
        # Not the frame itself, which would keep the sender's variables alive.
        self.path = sent_from.f_code.co_filename
        self.line = sent_from.f_lineno
        self.context: Context | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.state = ""  # as in CutOff; empty unless it was cut off

    @property
    def name(self) -> str:
        """Whatever says most to a reader: a given name, else the name of the code that runs."""
        if self.given_name is not None:
            return self.given_name
        code: Any = self.awaitable
        if (get_name := getattr(code, "get_name", None)) is not None:
            name = str(get_name())
            if not name.startswith("Task-"):  # asyncio's own numbering tells nobody anything
                return name
            code = code.get_coro()
        return str(getattr(code, "__qualname__", None) or type(code).__qualname__)

    def __str__(self) -> str:
        return f"{self.name} (sent at {self.path}:{self.line})"

    def cut_off(self) -> CutOff:
        """Report its being cut off."""
        return CutOff(self.name, f"{self.path}:{self.line}", self.state)
