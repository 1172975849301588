"""Taking aprocs over, holding them back, starting them, seeing them end.

All bookkeeping hangs on one done-callback per aproc, so that the work per aproc is the same
whatever the number pending. Three rules hold everywhere:

- an aproc is taken over before anything can be raised or awaited, and is in `_held` or `_running`
  from then on until it is done;
- somebody is in `_held` only while the manager is full, since whatever frees a slot fills it;
- an error is in `_ledger` until it has been raised, and not afterwards.

Most aprocs are coroutines that find a free slot and return None. They take a short way: no object
is made for them but the task and the tuple that says where they were sent.
"""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeGuard

from mt.aio.manager._aproc import ACCEPTED, Aproc, check_awaitable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine
    from types import CodeType

    from mt.aio.manager._aproc import Site
    from mt.aio.manager._ledger import Ledger


class Desk:
    """What the manager does with an aproc from its being sent to its end, in asynchronous mode."""

    max_concurrency: int

    def __init__(self, ledger: Ledger, *, listened: bool) -> None:
        self._ledger = ledger
        self._listened = listened  # somebody wants to hear of each end: no short way
        self._errors = ledger.errors
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running_loop: Callable[[], asyncio.AbstractEventLoop | None] = _running_loop
        self._held: deque[Aproc] = deque()
        self._running: dict[asyncio.Future[Any], Site] = {}
        self._cut: dict[asyncio.Future[Any], Aproc] = {}  # those running that are being cut off
        self._starting = 0  # being started by an eager task factory: running, but no task yet
        self._crowd: deque[asyncio.Future[None]] = deque()  # senders of futures, when too many run
        self._cleaners: set[asyncio.Future[None]] = set()  # wait until nothing is left

    # ----- taking aprocs over

    def _take(
        self, awaitable: Awaitable[Any], code: CodeType, instruction: int, name: str | None
    ) -> Coroutine[Any, Any, None]:
        """Take an aproc over now if the right loop runs, else when the coroutine returned does.

        The latter serves `loop.run_until_complete(manager.send(...))` and the like.
        """
        running = self._running
        loop = self._running_loop()
        if (
            loop is self._loop
            and loop is not None
            and type(awaitable) is CoroutineType
            and len(running) + self._starting < self.max_concurrency
        ):  # the short way: `_start`, without its call
            self._starting += 1
            try:
                task = loop.create_task(awaitable, name=name or awaitable.__qualname__)
            finally:
                self._starting -= 1
            running[task] = (code, instruction, name)
            task.add_done_callback(self._finished)
            return self._admitted(None) if self._errors else ACCEPTED
        return self._take_slowly(awaitable, loop, (code, instruction, name))

    def _take_slowly(
        self, awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop | None, site: Site
    ) -> Coroutine[Any, Any, None]:
        aproc = Aproc(awaitable, site)
        if loop is None or loop is not self._loop or type(awaitable) is not CoroutineType:
            check_awaitable(awaitable)
            if not self._usable(loop):
                return self._admitted_later(aproc)
            self._bind(loop)
        self._accept(aproc)
        if aproc.waiter is None and not self._errors:
            return ACCEPTED
        return self._admitted(aproc.waiter)

    async def _admitted_later(self, aproc: Aproc) -> None:
        self._bind(_running_loop())
        self._accept(aproc)
        await self._admitted(aproc.waiter)

    async def _admitted(self, waiter: asyncio.Future[None] | None) -> None:
        """Wait until an aproc has its slot, then report errors."""
        if waiter is not None:
            await waiter
        if self._errors and not self._inside():
            self._ledger.report(cancelled=False)

    def _accept(self, aproc: Aproc) -> None:
        assert self._loop is not None  # noqa: S101  # likewise
        awaitable = aproc.awaitable
        if type(awaitable) is not CoroutineType and _is_future(awaitable):
            self._watch(awaitable, aproc.site)
            if len(self._running) > self.max_concurrency and not self._inside():
                aproc.waiter = self._loop.create_future()
                self._crowd.append(aproc.waiter)
        elif self._has_slot():
            self._start(awaitable, aproc.site, None)
        else:
            aproc.context = copy_context()
            self._held.append(aproc)
            if not self._inside():
                aproc.waiter = self._loop.create_future()

    def _start(self, coro: Any, site: Site, context: Any) -> None:
        assert self._loop is not None  # noqa: S101  # for the type checker: it has been bound
        if type(coro) is not CoroutineType:
            coro = _as_coroutine(coro)
        self._starting += 1
        try:
            name = site[2] or getattr(coro, "__qualname__", None)
            task = self._loop.create_task(coro, name=name, context=context)
        finally:
            self._starting -= 1
        self._running[task] = site
        task.add_done_callback(self._finished)

    def _watch(self, future: asyncio.Future[Any], site: Site) -> None:
        if future.get_loop() is not self._loop:
            aproc = Aproc(future, site)
            raise RuntimeError(f"the aproc {aproc} belongs to another event loop")
        if future not in self._running:  # sent twice is watched once
            self._running[future] = site
            future.add_done_callback(self._finished)

    def _bind(self, loop: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop:
        """Make sure that the running event loop is this manager's."""
        if loop is None:
            raise RuntimeError(
                "an AprocManager needs a running event loop for what send() was given; in "
                "synchronous mode use spawn(asyn_func, ..., context_vars=context_vars) instead"
            )
        if loop is self._loop:
            return loop
        if not self._usable(loop):
            raise RuntimeError(
                "this AprocManager belongs to another event loop, which is still open: "
                "use one manager per loop"
            )
        if self._busy():
            lost = [str(aproc) for aproc in (*self._known(), *self._held)]
            raise RuntimeError(
                "the event loop of this AprocManager was closed before all aprocs were done; "
                f"lost are {len(lost)}, beginning with {', '.join(lost[:3])}"
            )
        from asyncio import _get_running_loop  # get_running_loop raises, and is asked each time

        self._running_loop = _get_running_loop
        self._loop = loop
        return loop

    def _usable(self, loop: asyncio.AbstractEventLoop | None) -> bool:
        if loop is None:
            return False
        return self._loop is None or self._loop is loop or self._loop.is_closed()

    def _inside(self) -> bool:
        """Tell whether one of the manager's own aprocs is asking."""
        if self._starting or not self._running:
            return self._starting > 0
        import asyncio  # faster than `from asyncio import ...`, and this is for each one held back

        return asyncio.current_task(self._loop) in self._running

    def _has_slot(self) -> bool:
        return len(self._running) + self._starting < self.max_concurrency

    def _busy(self) -> bool:
        return bool(self._running or self._held)

    def _known(self) -> list[Aproc]:
        """Describe what is running."""
        return [self._cut.get(key) or Aproc(key, site) for key, site in self._running.items()]

    # ----- when one is done

    def _finished(self, future: asyncio.Future[Any]) -> None:
        site = self._running.pop(future)
        try:
            if (
                not (self._listened or future.cancelled())
                and future.exception() is None
                and future.result() is None
            ):
                self._ledger.done += 1
                if self._cut:
                    self._spare(future)
            else:
                self._settle(future, site)
        finally:
            if self._held or self._crowd or self._cleaners:
                self._fill_slots()

    def _settle(self, future: asyncio.Future[Any], site: Site) -> None:
        """Do what the short way leaves out."""
        if future.cancelled():
            aproc = self._cut.pop(future) if future in self._cut else Aproc(future, site)
            self._ledger.settle_cancelled(aproc)
        elif (error := future.exception()) is None and self._goes_on(future.result()):
            self._watch(future.result(), site)
            if future in self._cut:
                self._cut[future.result()] = self._cut.pop(future)
        else:
            self._spare(future)
            self._ledger.settle(Aproc(future, site), error)

    def _spare(self, future: asyncio.Future[Any]) -> None:
        """Note that an aproc ended by itself, even if it was being cut off."""
        if future in self._cut:
            self._cut.pop(future).state = ""

    def _goes_on(self, result: object) -> bool:
        """Tell whether an aproc has only begun what it is about, as a delayed write does."""
        import asyncio

        if not asyncio.isfuture(result) or result in self._running:
            return False
        return result.get_loop() is self._loop

    def _fill_slots(self) -> None:
        """Start whoever has been held back, wake whoever waits for the crowd or for the end."""
        while self._held and self._has_slot():
            aproc = self._held.popleft()
            self._start(aproc.awaitable, aproc.site, aproc.context)
            wake(aproc.waiter)
        while self._crowd and len(self._running) <= self.max_concurrency:
            wake(self._crowd.popleft())
        if self._cleaners and not self._busy():
            for cleaner in self._cleaners:
                wake(cleaner)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Ask for the running event loop; without loading asyncio where there cannot be one."""
    import sys

    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def wake(waiter: asyncio.Future[None] | None) -> None:
    """Let whoever waits go on."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def _is_future(awaitable: object) -> TypeGuard[asyncio.Future[Any]]:
    import asyncio

    return not asyncio.iscoroutine(awaitable) and asyncio.isfuture(awaitable)


def _as_coroutine(awaitable: Any) -> Any:
    from asyncio import iscoroutine

    return awaitable if iscoroutine(awaitable) else _await(awaitable)


async def _await(awaitable: Awaitable[Any]) -> None:
    await awaitable
