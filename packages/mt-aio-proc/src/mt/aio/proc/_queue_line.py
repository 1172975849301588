"""Those who wait for a queue: how they are woken, and why nothing is lost.

A wake says "try again" and never carries an item, so that a waiter can be cancelled at any moment
without taking one along. What has to be seen to is that no wake is lost:

* A waiter stands in line, then tries once more, and only then suspends: what has come before it
  stood in line it finds itself, what comes later wakes it.
* A wake takes one waiter out of the line. It is spent by the attempt that follows it. A waiter
  that leaves with an unspent wake, as it was cancelled or succeeded without it, passes it on.
* A waiter that was woken in vain gets back to the front.

Subclasses say what makes a line move: `begin` is called when the first waiter comes, `end` when the
last has gone, both with the lock held.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import _get_running_loop  # for event loops' own use; None where none runs
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from enum import Enum
from typing import Any

LONGEST = 3600.0  # seconds that one timer is set for; arbitrary: event loops refuse infinity


class Place(Enum):
    """Where a waiter stands."""

    OUT = "not in line"
    IDLE = "in line"
    WOKEN = "woken, and has not tried since"


class Waiter:
    """A coroutine that waits for a queue, on its event loop.

    It is what its task waits for: an object like a future, so that whoever wakes it, in whatever
    thread, has the loop run the task and nothing else. A real future would have to be told in the
    loop's thread, which would run the task one turn later.
    """

    __slots__ = ("_asyncio_future_blocking", "_callbacks", "_told", "loop", "place")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.place = Place.OUT
        self._told = False
        self._callbacks: list[tuple[Callable[[Any], object], Context | None]] = []
        self._asyncio_future_blocking = False  # as `asyncio.isfuture` has it

    def notify(self) -> bool:
        """Let the coroutine go on, from any thread; False if its loop is closed.

        If it has not suspended yet, it will not.
        """
        self._told = True
        return self._resume()

    async def park(self, deadline: float | None) -> None:
        """Suspend until somebody notifies or time is up; it may end early, too."""
        timer = None
        if deadline is not None:
            rest = min(max(deadline - time.monotonic(), 0), LONGEST)
            timer = self.loop.call_later(rest, self.notify)
        try:
            await self
        finally:
            self._told = False
            if timer is not None:
                timer.cancel()

    def __await__(self) -> Generator[Any, None, None]:
        if not self._told:
            self._asyncio_future_blocking = True
            yield self

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Take what makes the task go on; the task calls this."""
        self._callbacks.append((callback, context))
        if self._told:  # in this very moment, and the callback was not seen
            self._resume()

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - the task keeps it
        """Let the task go on, as it is being cancelled, and have it raise the error itself."""
        self._resume()
        return False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Tell the task that this is of its own loop."""
        return self.loop

    def result(self) -> None:
        """Give the task what it expects of a future."""

    def _resume(self) -> bool:
        try:
            callback, context = self._callbacks.pop()  # once, whoever else is just doing so
        except IndexError:  # it has not suspended, or goes on already
            return not self.loop.is_closed()
        if _get_running_loop() is self.loop:
            self.loop.call_soon(callback, self, context=context)
            return True
        try:
            self.loop.call_soon_threadsafe(callback, self, context=context)
        except RuntimeError:
            return False
        return True


class Line:
    """The waiters for one thing, in the order in which they came."""

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self.lock = lock
        self.idle: OrderedDict[Waiter, None] = OrderedDict()

    def begin(self) -> None:
        """See to it that the line is woken."""

    def end(self) -> None:
        """Nobody is in line any more."""

    def enter(self, waiter: Waiter, front: bool) -> None:
        """Put a waiter into the line, unless it stands there; a wake that it has is spent."""
        with self.lock:
            if waiter.place is Place.IDLE:
                return
            waiter.place = Place.IDLE
            self.idle[waiter] = None
            if front:
                self.idle.move_to_end(waiter, last=False)
            if len(self.idle) == 1:
                self.begin()

    def leave(self, waiter: Waiter) -> None:
        """Take a waiter out; a wake that it has not spent goes to the next."""
        with self.lock:
            if waiter.place is Place.IDLE:
                del self.idle[waiter]
                if not self.idle:
                    self.end()
            elif waiter.place is Place.WOKEN:
                self.wake()
            waiter.place = Place.OUT

    def wake(self) -> None:
        """Wake the first in line; the lock is held."""
        while self.idle:
            waiter, _ = self.idle.popitem(last=False)
            waiter.place = Place.WOKEN
            if not self.idle:
                self.end()  # first: once its loop has been told, the waiter wants the lock
            if waiter.notify():
                return

    def wake_all(self) -> None:
        """Wake everybody in line; the lock is held."""
        for _ in range(len(self.idle)):
            self.wake()

    async def wait(
        self, attempt: Callable[[], Any], refused: type[Exception], deadline: float | None
    ) -> Any:
        """Try until the queue does not refuse, or time is up."""
        waiter = Waiter(asyncio.get_running_loop())
        in_vain = False
        try:
            while True:
                self.enter(waiter, in_vain)
                try:
                    return attempt()
                except refused:
                    if deadline is not None and time.monotonic() >= deadline:
                        raise
                await waiter.park(deadline)
                if waiter.place is Place.WOKEN:
                    waiter.place = Place.OUT  # nobody else touches it there: no lock is needed
                    try:
                        return attempt()
                    except refused:
                        in_vain = True
        finally:
            if waiter.place is not Place.OUT:
                self.leave(waiter)


class LoopLine(Line):
    """A line of one event loop, used in its thread alone, and registered as long as it is used.

    There must be one at a time for each key: who has been woken in vain comes back to the same.
    """

    def __init__(self, registry: dict[Any, Any], key: object) -> None:
        super().__init__(nullcontext())
        self._registry = registry
        self._key = key
        self._users = 0

    async def wait(
        self, attempt: Callable[[], Any], refused: type[Exception], deadline: float | None
    ) -> Any:
        """Do as every line, and be registered meanwhile."""
        self._registry[self._key] = self
        self._users += 1
        try:
            return await super().wait(attempt, refused, deadline)
        finally:
            self._users -= 1
            self.retire()

    def retire(self) -> None:
        """Be registered no longer than is needed."""
        if not self._users:
            self._registry.pop(self._key, None)
