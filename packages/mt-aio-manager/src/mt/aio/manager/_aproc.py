"""One aproc in the manager's hands: what it is called, where it came from, how it is cut off."""

from __future__ import annotations

from collections.abc import Coroutine
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable
    from contextvars import Context

Site: TypeAlias = tuple[CodeType, int, str | None]
"""Where an aproc was sent (code, instruction) and the name it was given.

Not the frame itself, which would keep the sender's variables alive; and not the line, which
takes longer to find out than all else that the manager does with an aproc.
"""


class CutOff(NamedTuple):
    """One aproc that a `cleanup(timeout=...)` had to cut off."""

    name: str
    """The aproc's name: as given to `spawn`, the task's, or that of its `async def` or class."""
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
    """What is known of an aproc that takes more than the short way through the manager."""

    __slots__ = ("awaitable", "context", "site", "state", "waiter")

    def __init__(self, awaitable: Awaitable[Any], site: Site) -> None:
        self.awaitable: Awaitable[Any] = awaitable
        self.site: Site = site
        self.context: Context | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.state: str = ""  # as in CutOff; empty unless it was cut off

    @property
    def name(self) -> str:
        """Whatever says most to a reader: a given name, else the name of the code that runs."""
        if self.site[2] is not None:
            return self.site[2]
        code: Any = self.awaitable
        if (get_name := getattr(code, "get_name", None)) is not None:
            name = str(get_name())
            if not name.startswith("Task-"):  # asyncio's own numbering tells nobody anything
                return name
            code = code.get_coro()
        return str(getattr(code, "__qualname__", None) or type(code).__qualname__)

    @property
    def place(self) -> str:
        """`file:line` of the call that sent it."""
        code, instruction, _ = self.site
        line = code.co_firstlineno
        for begin, end, number in code.co_lines():
            if begin <= instruction < end and number is not None:
                line = number
        return f"{code.co_filename}:{line}"

    def __str__(self) -> str:
        return f"{self.name} (sent at {self.place})"

    def cut_off(self) -> CutOff:
        """Report its being cut off."""
        return CutOff(self.name, self.place, self.state)


_END: Final = iter(())
next(_END, None)  # now it is exhausted for good


class Accepted(Coroutine[Any, Any, None]):
    """A coroutine that has nothing to wait for: what most calls of `send` return.

    One object serves all of them, as making and running a coroutine for each is what they would
    spend most of their time on. An iterator that is at its end is all that awaiting needs, and an
    iterator's own `__iter__` is the shortest way to it.
    """

    __slots__ = ()

    __await__ = _END.__iter__  # type: ignore[assignment]  # takes no self, which is bound already

    def send(self, value: Any, /) -> Any:  # noqa: ARG002  # a coroutine's interface
        """End at once, as a task sees it."""
        raise StopIteration

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Raise what came in, such as a cancellation before the first step."""
        error = typ if isinstance(typ, BaseException) else typ(*([] if val is None else [val]))
        raise error.with_traceback(tb) if tb is not None else error

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


ACCEPTED: Final = Accepted()


def check_awaitable(aproc: object) -> None:
    """Refuse what cannot be awaited."""
    from inspect import isawaitable

    if not isawaitable(aproc):
        raise TypeError(
            f"an aproc is a future, a task, a coroutine or another awaitable, "
            f"not {type(aproc).__name__}"
        )


NOWHERE: Final[Site] = (check_awaitable.__code__, -1, None)
