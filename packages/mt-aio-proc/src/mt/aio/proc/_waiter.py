"""Those who wait for a reply: a thread, in synchronous mode; for event loops see `_loops`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING, Protocol, TypeAlias

from mt.aio.proc._frames import PART, Frame

if TYPE_CHECKING:
    from mt.aio.proc._line import Watch

Outcome: TypeAlias = Frame | Callable[[], BaseException]
"""The reply, or what makes the error for who waits in vain."""


class Waiter(Protocol):
    """Whoever waits for the reply to a message."""

    def settle(self, outcome: Outcome) -> None:
        """Take the reply, or a part of it; called by whoever has read it."""

    async def wait(self, timeout: float | None) -> Frame:
        """Return the reply, or its next part, or raise."""


class ThreadWaiter:
    """Waits by blocking its thread, which watches the descriptors meanwhile."""

    def __init__(self, driver: Watch) -> None:
        self._driver = driver
        self._outcomes: deque[Outcome] = deque()

    def settle(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._driver.poke()

    async def wait(self, timeout: float | None) -> Frame:
        """Return the reply, or its next part, or raise; never suspends."""
        if not self._driver.wait(self._settled, timeout) and not self._outcomes:
            raise Empty
        return next_frame(self._outcomes)

    def _settled(self) -> bool:
        return bool(self._outcomes)


def next_frame(outcomes: deque[Outcome]) -> Frame:
    """Take the next outcome; the last one stays."""
    outcome = outcomes[0]
    if isinstance(outcome, Frame):
        if outcome.kind == PART:
            outcomes.popleft()
        return outcome
    raise outcome()
