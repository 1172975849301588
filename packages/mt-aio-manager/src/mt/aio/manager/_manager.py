"""The manager of aprocs.

All bookkeeping hangs on one done-callback per aproc, so that the work per aproc is the same
whatever the number pending. Three rules hold everywhere:

- an aproc is taken over before anything can be raised or awaited, and is in `_held` or `_running`
  from then on until it is done;
- somebody is in `_held` only while the manager is full, since whatever frees a slot fills it;
- an error is in `_ledger` until it has been raised, and not afterwards.
"""

from __future__ import annotations

import sys
from collections import deque
from contextvars import copy_context
from operator import index
from typing import TYPE_CHECKING, Any, Self

from mt.aio.core.lowlevel import ContextVars, is_async
from mt.aio.manager._aproc import Aproc, CleanupTimeoutError
from mt.aio.manager._ledger import Ledger

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine
    from types import TracebackType

_GRACE = 5.0  # seconds for a cancelled aproc to end; arbitrary, long for a `finally` block


class AprocManager:
    """Manages the completion of aprocs.

    With this manager, the user can just send an aproc to it and forget. To ensure that all aprocs
    are completed, invoke `cleanup`, or use the manager in an `async with` statement, whose end
    does so.

    **Modes.** `spawn` works in both modes and needs no event loop in synchronous mode. `send`
    takes what exists in asynchronous mode only: futures and coroutines.

    Args:
        max_concurrency: maximum number of concurrent aprocs. A coroutine is not started before
            it has a slot; a task or future that runs already cannot be held back, but it takes
            up a slot, and its sender waits while there are too many.
        handle_exception: policy for handling an exception raised by an aproc. 'raise' re-raises
            it, 'silent' ignores it, 'warn' warns the user through the logger.
        logger: a `logging.Logger` or equivalent, for policy 'warn'.
        on_done: called with the name of each aproc when it is done, and with its error or None
            (a `CancelledError` if it was cancelled). What it raises is reported as an aproc's
            error is under 'raise', whatever the policy.

    Raises:
        ValueError: `handle_exception` is none of the three, or it is 'warn' and there is no
            logger, or `max_concurrency` is below 1.
        TypeError: `max_concurrency` is no integer.

    **Errors under 'raise'.** An error does not disturb other aprocs. Each one is reported exactly
    once: by the next `send` or `spawn`, after it has taken its aproc over, or by `cleanup`. One
    alone is raised as itself, several as an `ExceptionGroup`. The first 100 are kept (an
    arbitrary number), the others counted in a note. That aprocs were cancelled is reported
    by `cleanup` alone, as one `asyncio.CancelledError`; `asyncio.current_task().cancelling()` is
    0 then, unless it is the caller who is being cancelled. `KeyboardInterrupt` and `SystemExit`
    of a task end the event loop, as always in asyncio, and are not reported again.

    **Cancellation.** Cancelling `send`, `spawn` or `cleanup` loses no aproc: those still held back
    are started later, as slots get free.

    **Concurrency.** Any number of tasks of one event loop may use the manager. Another loop may
    use it once the first is closed and all is done. An aproc may itself send to its manager:
    since its waiting for a slot could last for ever, such a `send` neither waits nor raises
    errors of others.

    Example:
        >>> import asyncio
        >>> from mt.aio.manager import AprocManager
        >>> async def main():
        ...     async with AprocManager(max_concurrency=2) as manager:
        ...         for _ in range(5):
        ...             await manager.send(asyncio.sleep(0.001))
        ...     return manager.done
        >>> asyncio.run(main())
        5
    """

    def __init__(
        self,
        max_concurrency: int = 1024,
        handle_exception: str = "raise",
        logger: Any = None,  # "or equivalent": whatever has a method `warning`
        *,
        on_done: Callable[[str, BaseException | None], object] | None = None,
    ) -> None:
        self.max_concurrency: int = _positive(max_concurrency)
        self.handle_exception = handle_exception
        self.logger = logger
        self._ledger = Ledger(handle_exception, logger, on_done)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: deque[Aproc] = deque()
        self._running: dict[asyncio.Future[Any], Aproc] = {}
        self._inline = 0  # running in synchronous mode
        self._starting = 0  # being started by an eager task factory: running, but no task yet
        self._crowd: deque[asyncio.Future[None]] = deque()  # senders of futures, when too many run
        self._cleaners: set[asyncio.Future[None]] = set()  # wait until nothing is left

    # ----- what is going on

    @property
    def pending(self) -> int:
        """Number of aprocs that wait for a slot, not started yet."""
        return len(self._held)

    @property
    def running(self) -> int:
        """Number of aprocs that are running now."""
        return len(self._running) + self._starting + self._inline

    @property
    def done(self) -> int:
        """Number of aprocs that have ended so far, in whatever way."""
        return self._ledger.done

    @property
    def failed(self) -> int:
        """Number of aprocs, among those done, that ended in an error or were cancelled."""
        return self._ledger.failed

    # ----- taking aprocs over

    def send(self, aproc: Awaitable[Any]) -> Coroutine[Any, Any, None]:
        """Sends an aproc to the manager so the user can forget about it.

        The function usually returns immediately. However, if the maximum number of concurrent
        aprocs has been exceeded, it awaits. The aproc is the manager's from the call on, even if
        the coroutine returned is cancelled before it has begun.

        **Modes.** Asynchronous mode only. In synchronous mode use `spawn`.

        Args:
            aproc: a future or task, which runs already; or a coroutine or another awaitable,
                which the manager starts as soon as there is a slot. If its result is a future
                in turn, as that of a delayed write is, the aproc lasts until that one is done.

        Returns:
            A coroutine to be awaited.

        Raises:
            TypeError: `aproc` is not awaitable.
            RuntimeError: no event loop runs, or the manager or the future belongs to another one.
            BaseException: under policy 'raise', errors of earlier aprocs.

        **Cancellation.** The aproc stays with the manager, which will run it.
        """
        # A plain function, so that cancelling the task of a send() that has not taken its first
        # step yet does not lose the aproc.
        return self._hand_over(Aproc(aproc, None, sys._getframe(1)))  # noqa: SLF001  # who sent it

    def spawn(
        self,
        asyn_func: Callable[..., Coroutine[Any, Any, Any]],
        /,
        *args: Any,
        context_vars: ContextVars,
        name: str | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, None]:
        """Starts an asyn procedure, in whichever mode.

        **Modes.** Asynchronous: as `send` with the procedure's coroutine. Synchronous: the
        procedure runs at once, to its end, and its error is handled at once by the same policy;
        no event loop is needed.

        Args:
            asyn_func: an asyn function; what it returns is ignored, unless it is a future, as
                that of a delayed write: then the aproc lasts until that one is done.
            *args: its positional arguments.
            context_vars: the mode, handed on to the function.
            name: what to call the aproc in reports and in the task's name.
            **kwargs: its other keyword arguments.

        Returns:
            A coroutine to be awaited.

        Raises:
            MissingModeError: `context_vars` has no `"async"` key.
            TypeError: `asyn_func` returned nothing awaitable.
            RuntimeError: as for `send`, in asynchronous mode.
            BaseException: under policy 'raise', errors of earlier aprocs, and in synchronous mode
                of this one.

        **Cancellation.** As for `send`.

        Example:
            >>> from mt.aio.core import sleep, srun
            >>> from mt.aio.manager import AprocManager
            >>> async def naps(context_vars={}):
            ...     async with AprocManager() as manager:
            ...         for _ in range(3):
            ...             await manager.spawn(sleep, 0.001, context_vars=context_vars)
            ...     return manager.done
            >>> srun(naps)
            3
        """
        frame = sys._getframe(1)  # noqa: SLF001  # who spawned it
        asynchronous = is_async(context_vars)
        coro = asyn_func(*args, context_vars=context_vars, **kwargs)
        aproc = Aproc(coro, name, frame)
        return self._hand_over(aproc) if asynchronous else self._run_now(aproc)

    def _hand_over(self, aproc: Aproc) -> Coroutine[Any, Any, None]:
        """Take the aproc over now if the right loop runs, else when the coroutine does.

        The latter serves `loop.run_until_complete(manager.send(...))` and the like.
        """
        loop = _running_loop()
        now = loop is self._loop is not None
        if not now and self._usable(loop):
            self._bind(loop)
            now = True
        if now:
            self._accept(aproc)
        return self._admitted(aproc, accepted=now)

    async def _admitted(self, aproc: Aproc, *, accepted: bool) -> None:
        """Wait until the aproc has its slot, then report errors."""
        if not accepted:
            self._bind(_running_loop())
            self._accept(aproc)
        if aproc.waiter is not None:
            await aproc.waiter
        if self._ledger.has_errors() and not self._inside():
            self._ledger.report(cancelled=False)

    def _accept(self, aproc: Aproc) -> None:
        import asyncio

        assert self._loop is not None  # noqa: S101  # for the type checker: it has been bound
        awaitable = aproc.awaitable
        if not asyncio.iscoroutine(awaitable) and asyncio.isfuture(awaitable):
            self._watch(awaitable, aproc)
            if len(self._running) > self.max_concurrency and not self._inside():
                aproc.waiter = self._loop.create_future()
                self._crowd.append(aproc.waiter)
        elif self._has_slot():
            self._start(aproc)
        else:
            aproc.context = copy_context()
            self._held.append(aproc)
            if not self._inside():
                aproc.waiter = self._loop.create_future()

    def _start(self, aproc: Aproc) -> None:
        import asyncio

        coro: Any = aproc.awaitable
        if not asyncio.iscoroutine(coro):
            coro = _await(coro)
        assert self._loop is not None  # noqa: S101  # likewise
        self._starting += 1
        try:
            task = self._loop.create_task(coro, name=aproc.given_name, context=aproc.context)
        finally:
            self._starting -= 1
        aproc.context = None
        self._watch(task, aproc)

    def _watch(self, future: asyncio.Future[Any], aproc: Aproc) -> None:
        if future.get_loop() is not self._loop:
            raise RuntimeError(f"the aproc {aproc} belongs to another event loop")
        if future not in self._running:  # sent twice is watched once
            self._running[future] = aproc
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
            lost = [str(aproc) for aproc in (*self._running.values(), *self._held)]
            raise RuntimeError(
                "the event loop of this AprocManager was closed before all aprocs were done; "
                f"lost are {len(lost)}, beginning with {', '.join(lost[:3])}"
            )
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
        from asyncio import current_task

        return current_task() in self._running

    def _has_slot(self) -> bool:
        return len(self._running) + self._starting < self.max_concurrency

    def _busy(self) -> bool:
        return bool(self._running or self._held)

    # ----- when one is done

    def _finished(self, future: asyncio.Future[Any]) -> None:
        aproc = self._running.pop(future)
        try:
            if future.cancelled():
                self._ledger.settle_cancelled(aproc)
            elif (error := future.exception()) is None and self._goes_on(future.result()):
                self._watch(future.result(), aproc)
            else:
                aproc.state = ""  # it ended by itself, even if it was being cut off
                self._ledger.settle(aproc, error)
        finally:
            self._fill_slots()

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
            self._start(aproc)
            _wake(aproc.waiter)
        while self._crowd and len(self._running) <= self.max_concurrency:
            _wake(self._crowd.popleft())
        if self._cleaners and not self._busy():
            for cleaner in self._cleaners:
                _wake(cleaner)

    async def _run_now(self, aproc: Aproc) -> None:
        """Run an aproc in synchronous mode."""
        self._inline += 1
        try:
            await aproc.awaitable
        except Exception as error:  # noqa: BLE001  # kept for the policy
            self._inline -= 1
            self._ledger.settle(aproc, error)
        except BaseException as error:  # Ctrl-C, or closed by srun: goes straight to the caller
            self._inline -= 1
            self._ledger.settle(aproc, error, raised=True)
            raise
        else:
            self._inline -= 1
            self._ledger.settle(aproc, None)
        self._ledger.report(cancelled=False)

    # ----- the end

    async def cleanup(self, *, timeout: float | None = None) -> None:
        """Awaits until all aprocs are done.

        That includes those sent meanwhile. The manager can be used again afterwards.

        **Modes.** Asynchronous: waits. Synchronous: there is nothing to wait for, and no event
        loop is needed.

        Args:
            timeout: seconds to wait. Afterwards all aprocs are cancelled, those not started yet
                are dropped, and the error says which. (`asyncio.timeout` around `cleanup` merely
                stops the waiting.) An aproc that does not obey within 5 more seconds (an
                arbitrary number) is reported as still running, and remains with the manager.

        Raises:
            CleanupTimeoutError: aprocs were cut off, whatever the policy.
            RuntimeError: called by an aproc of this manager, which would wait for itself; or from
                another event loop.
            BaseException: under policy 'raise', the errors not reported yet.

        **Cancellation.** The aprocs go on and stay with the manager. If the time is over already
        and they have been cancelled, this is handled by the policy, at the next `cleanup`.
        """
        if not await self._drain(timeout) and (cut_off := await self._cut_off()):
            cause = self._ledger.take()
            report = CleanupTimeoutError(tuple(aproc.cut_off() for aproc in cut_off))
            try:
                raise report from cause
            finally:
                del report, cause
        self._ledger.report(cancelled=True)

    async def aclose(self) -> None:
        """Does what `cleanup` does, under the name that `contextlib.aclosing` expects."""
        await self.cleanup()

    async def __aenter__(self) -> Self:
        """Returns the manager itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Awaits until all aprocs are done.

        If the body raised (or was cancelled), no aproc is cancelled for that: they are awaited,
        their errors are written into a note of the body's error, and that one is raised.
        Cancelling once more stops the waiting.
        """
        if error is None:
            await self.cleanup()
            return
        if isinstance(error, GeneratorExit):
            return  # a coroutine being closed must not await; the manager still has its aprocs
        await self._drain(None)
        late = self._ledger.take()
        if late is not None:
            from traceback import format_exception

            text = "".join(format_exception(late))
            error.add_note(f"Aprocs of the AprocManager failed as well:\n{text}")

    async def _drain(self, seconds: float | None) -> bool:
        """Wait until all is done, and tell whether it is."""
        if not self._busy():
            return True
        from asyncio import timeout

        loop = self._bind(_running_loop())
        if self._inside():
            raise RuntimeError("an aproc cannot clean up its own manager: it would await itself")
        try:
            async with timeout(seconds):
                while self._busy():
                    cleaner = loop.create_future()
                    self._cleaners.add(cleaner)
                    try:
                        await cleaner
                    finally:
                        self._cleaners.discard(cleaner)
        except TimeoutError:
            return not self._busy()
        return True

    async def _cut_off(self) -> list[Aproc]:
        """Cancel all aprocs, and return those that did not end by themselves nevertheless."""
        import asyncio

        cut = [*self._running.values(), *self._held]
        futures = list(self._running)
        self._drop_held()
        for future in futures:
            self._running[future].state = "still running"
            future.cancel()
        try:
            if futures:
                await asyncio.wait(futures, timeout=_GRACE)
        except asyncio.CancelledError:
            for aproc in cut:  # nobody gets the report now
                if aproc.state in {"cancelled", "not started"}:
                    self._ledger.handle_cancelled(aproc)
                aproc.state = ""
            raise
        return [aproc for aproc in cut if aproc.state]

    def _drop_held(self) -> None:
        from asyncio import iscoroutine

        while self._held:
            aproc = self._held.popleft()
            aproc.state = "not started"
            if iscoroutine(aproc.awaitable):
                aproc.awaitable.close()  # or else Python warns that it was never awaited
            self._ledger.settle_cancelled(aproc)
            _wake(aproc.waiter)


def _positive(max_concurrency: object) -> int:
    if isinstance(max_concurrency, bool):
        raise TypeError("max_concurrency must be an integer, not bool")
    try:
        number = index(max_concurrency)  # type: ignore[arg-type]  # which is what is being tested
    except TypeError:
        raise TypeError(
            f"max_concurrency must be an integer, not {type(max_concurrency).__name__}"
        ) from None
    if number < 1:
        raise ValueError(f"max_concurrency must be at least 1, not {number}")
    return number


def _running_loop() -> asyncio.AbstractEventLoop | None:
    import asyncio  # five times faster than `from asyncio import ...`, and this is for each aproc

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _await(awaitable: Awaitable[Any]) -> None:
    await awaitable
