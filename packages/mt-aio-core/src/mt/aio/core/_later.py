"""Jobs of two parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Later:
    """What a job returns that is not done yet."""

    __slots__ = ("func",)

    def __init__(self, func: Callable[[], Any]) -> None:
        self.func = func

    def finish(self) -> Any:
        """Do it, and what it leaves in turn."""
        result = self.func()
        while type(result) is Later:
            result = result.func()
        return result


def later(func: Callable[[], T]) -> T:
    """Let a job go on when those that wait have had their turn.

    To be returned by a function that is run by `offload` or `submit`, and by nothing else. What
    many jobs do in the end can be done once for all of them so, by the first whose turn it is.

    Args:
        func: what is left to be done; its result is the job's. It may return `later` again.

    Returns:
        What the job's function has to return. The caller of `offload` gets what `func` returns.

    **Modes.** Asynchronous: the job goes to the end of the queue; those of its key that follow
    it wait. Synchronous: nobody else waits, so `func` is called at once.

    **Cancellation.** The job has begun, so it is brought to its end.
    """
    return cast("T", Later(func))
