"""The one way in which mt.aio leaves the event loop."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, cast

from mt.aio.core._later import Later
from mt.aio.core._mode import ContextVars, is_async

if TYPE_CHECKING:
    import asyncio

# What asynchronous mode needs, from its first use on: an import statement in `offload` would cost
# each call as much as the rest of it. As long as it is None, there are no jobs: `sys.modules` would
# not tell, as another thread may be importing it just now.
_hop: Any = None

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def offload(
    func: Callable[[*Ts], T],
    /,
    *args: *Ts,
    context_vars: ContextVars,
    order: Hashable | None = None,
    abandon_on_cancel: bool = False,
    network: bool = False,
) -> T:
    """Run a plain blocking function where the mode says: here, or in a worker thread.

    **Modes.** Synchronous: `func(*args)` is called inline. Asynchronous: one of a few worker
    threads calls it, with the caller's `contextvars`, and the event loop goes on meanwhile.

    Args:
        func: a plain function that may block.
        *args: its positional arguments.
        context_vars: the mode.
        order: jobs with an equal key run one after the other, in the order in which they were
            issued, whatever the mode; None is no order.
        abandon_on_cancel: see below.
        network: that it waits for another machine, which may never answer. Such jobs have threads
            of their own, so that those which work here never wait for a thread that one of them
            keeps.

    Returns:
        What `func` returns. What it raises is raised.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.

    **Cancellation.** A job that no thread has taken yet is withdrawn. One that runs cannot be
    stopped from outside: with `abandon_on_cancel` the coroutine ends at once and the result is
    dropped; without it, the coroutine ends only when `func` has, so that nothing happens behind
    the caller's back. In both cases `check_cancelled` raises inside `func` from then on.

    **Concurrency.** Any number of event loops and threads may offload at once. The threads are
    shared by the process, start when there is work, and cost nothing while there is none; a
    process that forks gets new ones in the child.
    """
    if is_async(context_vars):
        if _hop is None:
            _load_hop()
        job = _hop.start(func, args, order, kept=False, network=network)
        try:
            result: T = await job.future
        except _hop.asyncio.CancelledError:
            await job.give_up(abandon_on_cancel)
            raise
        return result
    if order is not None and _hop is not None:
        _hop.wait_for(order)
    done: Any = func(*args)
    if type(done) is Later:
        done = done.finish()
    return cast("T", done)


def submit(
    func: Callable[[*Ts], T], /, *args: *Ts, order: Hashable | None = None, network: bool = False
) -> asyncio.Future[T]:
    """Start a blocking function in a worker thread now, and return its future.

    For asynchronous mode only: it needs the running event loop. The job does not depend on
    anybody keeping the future, nor on the loop's living on: it is finished before the
    interpreter exits. If it fails when no loop is left to tell, the error is logged.

    Args:
        func: a plain function that may block.
        *args: its positional arguments.
        order: as for `offload`.
        network: likewise.

    Returns:
        A future of what `func` returns or raises.

    Raises:
        RuntimeError: no event loop runs in this thread.

    **Cancellation.** Cancelling the future withdraws the job, if no thread has taken it yet;
    otherwise `check_cancelled` raises inside `func` from then on.
    """
    if _hop is None:
        _load_hop()
    future: asyncio.Future[T] = _hop.start(func, args, order, kept=True, network=network).future
    return future


def check_cancelled() -> None:
    """Raise `asyncio.CancelledError` if whoever waits for this job has been cancelled.

    To be called inside a function run by `offload` or `submit`, wherever it can still give up
    and clean up after itself. Anywhere else, and in synchronous mode, it does nothing.
    """
    if _hop is not None:
        _hop.check_cancelled()


def expect_wait() -> None:
    """Say that this job is about to wait for a device, and so leaves the processor to others.

    To be called inside a function run by `offload` or `submit`. Jobs that wait are given a thread
    at once, where it would take some milliseconds of waiting to notice. Anywhere else, and in
    synchronous mode, it does nothing.
    """
    if _hop is not None:
        _hop.expect_wait()


def _load_hop() -> None:
    global _hop  # noqa: PLW0603 - see there
    import mt.aio.core._hop as module

    _hop = module
