"""Taking aprocs over, holding them back, starting them, seeing them end.

All bookkeeping hangs on one done-callback per aproc, so that the work per aproc is the same
whatever the number pending. These rules hold everywhere:

- an aproc is taken over before anything can be raised or awaited, and is in `_held` or `_running`
  from then on until it is done;
- somebody is in `_held` only while the manager is full or is about to fill its slots, and until
  then nobody overtakes those held;
- whoever is held or waits has set `_wanted`, or the filling of slots has been scheduled;
- an error is in `_ledger` until it has been raised, and not afterwards.

Most aprocs are coroutines that find a free slot and return None. They take a short way, `send`
itself: no object is made for them but the task and the tuple that says where they were sent (one
for all that are sent from there in a row). Names, lines and reports are made of these when needed.

Slots are filled in the turn of the event loop after the one in which they got free. Whoever was
held back then starts in the same turn as what its sender sends next, so that the sender has to
wait once for a whole crowd, and not once for each of the groups into which it would split up.
"""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeGuard

from mt.aio.manager._aproc import ACCEPTED, NOWHERE, Aproc, check_awaitable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine

    from mt.aio.manager._aproc import Site
    from mt.aio.manager._ledger import Ledger


class Desk:
    """What the manager does with an aproc from its being sent to its end, in asynchronous mode."""

    max_concurrency: int

    def __init__(self, ledger: Ledger, *, listened: bool, warns: bool) -> None:
        self._ledger = ledger
        self._listened = listened  # somebody wants to hear of each end: no short way
        self._calls_out = listened or warns  # code of the user's is called at some ends
        self._errors = ledger.errors
        self._loop: asyncio.AbstractEventLoop | None = None
        self._quick: Any = self  # the loop, if the short way is open; never None
        self._running_loop: Callable[[], asyncio.AbstractEventLoop | None] = _running_loop
        self._held: deque[Aproc] = deque()
        self._running: dict[asyncio.Future[Any], Site] = {}
        self._cut: dict[asyncio.Future[Any], Aproc] = {}  # those running that are being cut off
        self._starting = 0  # being started by an eager task factory: running, but no task yet
        self._crowd: deque[asyncio.Future[None]] = deque()  # senders of futures, when too many run
        self._cleaners: set[asyncio.Future[None]] = set()  # wait until nothing is left
        self._wanted = False  # the next end of an aproc is to fill slots and wake whoever waits
        self._site = NOWHERE  # where the last one was sent

    # ----- taking aprocs over

    def _take(self, awaitable: Awaitable[Any], site: Site) -> Coroutine[Any, Any, None]:
        """Take an aproc over now if the right loop runs, else when the coroutine returned does.

        The latter serves `loop.run_until_complete(manager.send(...))` and the like.
        """
        loop = self._running_loop()
        known = loop is not None and loop is self._loop and type(awaitable) is CoroutineType
        if known and self._has_slot() and not self._held:
            self._start(awaitable, site, None)
            return self._admitted(None) if self._errors else ACCEPTED
        aproc = Aproc(awaitable, site)
        if not known:
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
        assert self._loop is not None  # noqa: S101  # for the type checker: it has been bound
        awaitable = aproc.awaitable
        if type(awaitable) is not CoroutineType and _is_future(awaitable):
            self._watch(awaitable, aproc.site)
            if len(self._running) > self.max_concurrency and not self._inside():
                aproc.waiter = self._loop.create_future()
                self._crowd.append(aproc.waiter)
                self._wanted = True
        elif self._has_slot() and not self._held:
            self._start(awaitable, aproc.site, None)
        else:
            aproc.context = copy_context()
            self._held.append(aproc)
            self._wanted = True
            if not self._inside():
                aproc.waiter = self._loop.create_future()

    def _start(self, coro: Any, site: Site, context: Any) -> None:
        assert self._loop is not None  # noqa: S101  # likewise
        name = site[2] or getattr(coro, "__qualname__", None) or type(coro).__qualname__
        if type(coro) is not CoroutineType:
            coro = _as_coroutine(coro)
        self._starting += 1
        try:
            task = self._loop.create_task(coro, name=name, context=context)
        finally:
            self._starting -= 1
        self._running[task] = site
        task.add_done_callback(self._on_end, context=context if self._calls_out else self._context)

    def _watch(self, future: asyncio.Future[Any], site: Site) -> None:
        if future.get_loop() is not self._loop:
            aproc = Aproc(future, site)
            raise RuntimeError(f"the aproc {aproc} belongs to another event loop")
        if future not in self._running:  # sent twice is watched once
            self._running[future] = site
            future.add_done_callback(self._on_end)

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
        self._settle_down(loop)
        return loop

    def _settle_down(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make ready what each `send` is going to need."""
        import asyncio

        self._loop = loop
        self._running_loop = asyncio._get_running_loop  # noqa: SLF001 - the public one raises
        self._current_task = asyncio.current_task
        self._tasks = asyncio.tasks
        self._on_end = self._finished
        # Callbacks share a context, unless they call the user's code (which wants the sender's).
        self._context = None if self._calls_out else copy_context()
        self._crowd.clear()  # whoever waited on an earlier loop waits no longer
        # What `create_task` of such a loop does is, without a task factory, to make a Task.
        plain = type(loop).create_task is asyncio.BaseEventLoop.create_task
        self._quick = loop if plain else self

    def _usable(self, loop: asyncio.AbstractEventLoop | None) -> bool:
        if loop is None:
            return False
        return self._loop is None or self._loop is loop or self._loop.is_closed()

    def _inside(self) -> bool:
        """Tell whether one of the manager's own aprocs is asking."""
        return self._starting > 0 or self._current_task(self._loop) in self._running

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
            try:
                plain = future.result() is None and not self._listened
            except BaseException as error:  # noqa: BLE001  # `_settle` looks again, at leisure
                plain = False
                trace: Any = error.__traceback__
                BaseException.with_traceback(error, trace.tb_next)  # without this frame
                del trace
            if plain:
                self._ledger.done += 1
                if self._cut:
                    self._spare(future)
            else:
                self._settle(future, site)
        finally:
            if self._wanted:
                self._wanted = False
                future.get_loop().call_soon(self._fill_slots)

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
        if not self._busy():
            for cleaner in self._cleaners:
                wake(cleaner)
        self._wanted = bool(self._held or self._crowd or self._cleaners)


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

    return asyncio.isfuture(awaitable)


def _as_coroutine(awaitable: Any) -> Any:
    from asyncio import iscoroutine

    return awaitable if iscoroutine(awaitable) else _await(awaitable)


async def _await(awaitable: Awaitable[Any]) -> None:
    await awaitable
