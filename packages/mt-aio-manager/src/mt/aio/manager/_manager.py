"""The manager of aprocs, as its users see it."""

from __future__ import annotations

from sys import _getframe
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Self

from mt.aio.core.lowlevel import ContextVars, Progress, at_least_one, is_async
from mt.aio.manager._aproc import ACCEPTED, Aproc, CleanupTimeoutError, check_awaitable
from mt.aio.manager._end import Closing
from mt.aio.manager._ledger import Ledger
from mt.aio.manager._progress import DoneBar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import TracebackType


class AprocManager(Closing):
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
        progress: True, or a title, shows a `tqdm` bar of the aprocs done, among all sent so far,
            from the first one's end to that of `cleanup`; a bar of your own (anything with a
            method `update`) is told of each one done.

    Raises:
        ModuleNotFoundError: the bar that was asked for needs tqdm, which is not installed.
        ValueError: `handle_exception` is none of the three, or it is 'warn' and there is no
            logger, or `max_concurrency` is below 1.
        TypeError: `max_concurrency` is no integer.

    **Errors under 'raise'.** An error does not disturb other aprocs. Each one is reported exactly
    once: by the next `send` or `spawn`, after it has taken its aproc over, or by `cleanup`. One
    alone is raised as itself, several as an `ExceptionGroup`. The first 100 are kept (an
    arbitrary number), the others counted in a note. That aprocs were cancelled is reported
    by `cleanup` alone, as one `asyncio.CancelledError`; `asyncio.current_task().cancelling()` is
    0 then, unless it is the caller who is being cancelled. `KeyboardInterrupt` and `SystemExit`
    of a task end the event loop, as always in asyncio, and are not reported again. If a manager
    is dropped, or the program ends, while there are errors to report, the log (`mt.aio.manager`,
    an error) has them.

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
        progress: Progress = False,
    ) -> None:
        self.max_concurrency: int = at_least_one("max_concurrency", max_concurrency)
        self.handle_exception = handle_exception
        self.logger = logger
        self._inline = 0  # running in synchronous mode
        self._bar = DoneBar(progress, self) if progress is not False else None
        listeners = [listener for listener in (on_done, self._bar) if listener is not None]
        ledger = Ledger(handle_exception, logger, listeners)
        super().__init__(ledger, listened=bool(listeners), warns=handle_exception == "warn")

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
                which the manager starts as soon as there is a slot, in a task named after its
                `async def` or its class. If its result is a future in turn, as that of a delayed
                write is, the aproc lasts until that one is done.

        Returns:
            A coroutine to be awaited. `send` is no coroutine function by itself, and
            `inspect.iscoroutinefunction` says so: it takes the aproc over when it is called,
            and where there is nothing to wait for, all calls return one object that is done.

        Raises:
            TypeError: `aproc` is not awaitable.
            RuntimeError: no event loop runs, or the manager or the future belongs to another one.
            BaseException: under policy 'raise', errors of earlier aprocs.

        **Cancellation.** The aproc stays with the manager, which will run it.
        """
        # A plain function, so that cancelling the task of a send() that has not taken its first
        # step yet does not lose the aproc.
        frame = _getframe(1)  # who sent it
        site = self._site
        if frame.f_lasti != site[1] or frame.f_code is not site[0]:
            site = self._site = (frame.f_code, frame.f_lasti, None)
        loop: Any = self._running_loop()
        if (
            loop is self._quick
            and type(aproc) is CoroutineType
            and len(self._running) < self.max_concurrency
            and not self._held
            and loop.get_task_factory() is None
        ):  # the short way: what `_take` comes to
            task = self._tasks.Task(aproc, loop=loop, name=aproc.__qualname__)
            self._running[task] = site
            task.add_done_callback(self._on_end, context=self._context)
            return self._admitted(None) if self._errors else ACCEPTED
        return self._take(aproc, site)

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
        frame = _getframe(1)  # who spawned it
        site = (frame.f_code, frame.f_lasti, name)
        asynchronous = is_async(context_vars)
        coro = asyn_func(*args, context_vars=context_vars, **kwargs)
        if asynchronous:
            return self._take(coro, site)
        check_awaitable(coro)
        return self._run_now(Aproc(coro, site))

    async def _run_now(self, aproc: Aproc) -> None:
        """Run an aproc in synchronous mode."""
        try:
            self._inline += 1
            try:
                await aproc.awaitable
            finally:
                self._inline -= 1
        except Exception as error:  # noqa: BLE001  # kept for the policy
            self._ledger.settle(aproc, error)
        except BaseException as error:  # Ctrl-C, or closed by srun: goes straight to the caller
            self._ledger.settle(aproc, error, raised=True)
            raise
        else:
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
        await self._drain(timeout)
        cut_off = await self._cut_off() if self._busy() else []
        if self._bar is not None:
            self._bar.close()
        if cut_off:
            cause = self._ledger.take()
            report = CleanupTimeoutError(tuple(aproc.cut_off() for aproc in cut_off))
            try:
                raise report from cause
            finally:
                del report  # its traceback refers to this frame
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
        if self._bar is not None:
            self._bar.close()
        late = self._ledger.take()
        if late is not None:
            from traceback import format_exception

            text = "".join(format_exception(late))
            error.add_note(f"Aprocs of the AprocManager failed as well:\n{text}")
