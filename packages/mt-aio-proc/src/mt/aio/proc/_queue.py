"""Queues of threads and processes, awaited: what the queue is decides how."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, Full
from typing import Any, Protocol

from mt.aio.core import asyn
from mt.aio.core.lowlevel import ContextVars, is_async
from mt.aio.proc._queue_kind import GETTER, Kind, kind_of, plain_types

INTERVAL = 0.001
TURNS = 256  # calls after which one gives way to the event loop; arbitrary


class PutQueue(Protocol):
    """What can be put into without waiting."""

    def put(self, obj: Any, block: bool = ..., /) -> object: ...


class GetQueue(Protocol):
    """What can be got from without waiting."""

    def get(self, block: bool = ..., /) -> Any: ...


class PipeQueue(Protocol):
    """A `multiprocessing.SimpleQueue`, whose methods cannot be asked not to wait."""

    def put(self, obj: Any, /) -> object: ...

    def get(self) -> Any: ...

    def empty(self) -> bool: ...

    def close(self) -> None: ...


@asyn
async def qput_aio(
    q: PutQueue | PipeQueue,
    obj: Any,
    block: bool = True,
    timeout: float | None = None,
    aio_interval: float = INTERVAL,
    *,
    context_vars: ContextVars = {},
) -> None:
    """Put an object into a queue of threads or processes.

    **Modes.** Asynchronous (also without `context_vars`): waits without blocking the event loop.
    Synchronous: blocks, as the queue's own `put` does.

    Args:
        q: a queue of the modules `queue` or `multiprocessing`, the proxy of one that a manager
            has, or an object that behaves as they do.
        obj: what to put.
        block: whether to wait until there is room.
        timeout: seconds to wait at most; None waits for ever. Without `block` it has no effect.
        aio_interval: seconds between two looks at a full queue of which nothing more is known than
            that it can be asked; where there is no room for long, up to 30 times as many, but no
            more than 0.03. See the guide on queues.
        context_vars: the mode; left out or empty, the mode is asynchronous.

    Raises:
        queue.Full: there was no room (in time).
        ValueError: `timeout` or `aio_interval` is negative.
        queue.ShutDown: the queue has been shut down (Python 3.13).
        Exception: whatever else the queue raises. An object that cannot be pickled is refused
            here, also by a `multiprocessing` queue, which would print a traceback and go on.

    **Cancellation.** Nothing has been put. If it is too late for that, since a manager is being
    asked, the coroutine returns and the cancellation meets whatever the task awaits next.

    **Concurrency.** Any number of tasks, event loops, threads and processes may use the queue.
    """
    if timeout is not None or aio_interval is not INTERVAL:
        _check(block, timeout, aio_interval)
    if context_vars and not is_async(context_vars):
        from mt.aio.proc._queue_sync import put_here

        put_here(q, obj, block, timeout, aio_interval)
        return
    global _calls  # noqa: PLW0603 - how often, approximately, is all that matters
    _calls += 1
    if not _calls % TURNS:
        await _give_way(q, "full")
    if type(q) in plain_types:
        try:
            q.put(obj, False)  # type: ignore[call-arg]  # not a PipeQueue
        except Full:
            if not block or timeout == 0:
                raise
        else:
            return
    from mt.aio.proc._queue_wait import put

    await put(kind_of(type(q)), q, obj, timeout if block else 0, aio_interval)


@asyn
async def qget_aio(
    q: GetQueue | PipeQueue,
    block: bool = True,
    timeout: float | None = None,
    aio_interval: float = INTERVAL,
    *,
    context_vars: ContextVars = {},
) -> Any:
    """Remove and return an item from a queue of threads or processes.

    **Modes.** Asynchronous (also without `context_vars`): waits without blocking the event loop.
    Synchronous: blocks, as the queue's own `get` does.

    Args:
        q: a queue of the modules `queue` or `multiprocessing`, the proxy of one that a manager
            has, or an object that behaves as they do.
        block: whether to wait until there is an item.
        timeout: seconds to wait at most; None waits for ever. Without `block` it has no effect.
        aio_interval: seconds between two looks at an empty queue of which nothing more is known
            than that it can be asked; where nothing comes for long, up to 30 times as many, but
            no more than 0.03. See the guide on queues.
        context_vars: the mode; left out or empty, the mode is asynchronous.

    Returns:
        The item.

    Raises:
        queue.Empty: there was no item (in time).
        ValueError: `timeout` or `aio_interval` is negative.
        queue.ShutDown: the queue has been shut down (Python 3.13).
        Exception: whatever else the queue raises.

    **Cancellation.** Nothing has been removed: no item is lost. An item of a `multiprocessing`
    queue of which a part had been read is kept for the next `get` on this queue in this process.

    **Concurrency.** Any number of tasks, event loops, threads and processes may use the queue.
    Those who wait on one event loop are served in the order in which they came.
    """
    if timeout is not None or aio_interval is not INTERVAL:
        _check(block, timeout, aio_interval)
    if context_vars and not is_async(context_vars):
        from mt.aio.proc._queue_sync import get_here

        return get_here(q, block, timeout, aio_interval)
    global _calls  # noqa: PLW0603 - how often, approximately, is all that matters
    _calls += 1
    if not _calls % TURNS:
        await _give_way(q, "empty")
    tried = True
    try:
        if type(q) in plain_types:
            return q.get(False)  # type: ignore[call-arg]  # not a PipeQueue
        if (getter := getattr(q, GETTER, None)) is not None and getter.belongs_here():
            return getter.get(q)
        tried = False
    except Empty:
        if not block or timeout == 0:
            raise
    from mt.aio.proc._queue_wait import get

    return await get(kind_of(type(q)), q, timeout if block else 0, aio_interval, tried=tried)


def _check(block: bool, timeout: float | None, interval: float) -> None:
    """Refuse numbers that make no sense."""
    if block and timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be None, zero or more, not {timeout!r}")
    if not interval >= 0:
        raise ValueError(f"aio_interval must be zero or more, not {interval!r}")


async def _give_way(q: Any, hopeless: str) -> None:
    """Let the event loop see to others: a queue that is never empty must not keep it for itself.

    Who has to wait gets in line at once, before those who come after.
    """
    kind = kind_of(q.__class__)
    if kind is Kind.PROXY:  # everybody waits; and to ask would block
        return
    if kind is not Kind.AWAITED:
        with suppress(Exception):  # not implemented, or the queue is closed
            if getattr(q, hopeless)():
                return
    import asyncio

    await asyncio.sleep(0)


_calls = 0
