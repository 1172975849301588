"""Queues of threads and processes, awaited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class PutQueue(Protocol):
    """What can be put into without waiting."""

    def put(self, obj: Any, block: bool = ..., /) -> object: ...


class GetQueue(Protocol):
    """What can be got from without waiting."""

    def get(self, block: bool = ..., /) -> Any: ...


async def qput_aio(
    q: PutQueue,
    obj: Any,
    block: bool = True,
    timeout: float | None = None,
    aio_interval: float = 0.001,
) -> None:
    """Put an object into a queue of threads or processes.

    Asynchronous only. The queue is asked without blocking, so the event loop does not wait for
    other users of the queue.

    Args:
        q: a queue of the modules `queue` or `multiprocessing`, or one that behaves as they do.
        obj: what to put.
        block: whether to wait until there is room.
        timeout: seconds to wait at most; None waits for ever. Without `block` it has no effect.
        aio_interval: seconds between two looks at a full queue.

    Raises:
        queue.Full: there was no room (in time).
        ValueError: `timeout` or `aio_interval` is negative.

    **Cancellation.** Nothing has been put.
    """
    import queue

    await _retry(lambda: q.put(obj, False), queue.Full, block, timeout, aio_interval)


async def qget_aio(
    q: GetQueue,
    block: bool = True,
    timeout: float | None = None,
    aio_interval: float = 0.001,
) -> Any:
    """Remove and return an item from a queue of threads or processes.

    Asynchronous only. The queue is asked without blocking, so the event loop does not wait for
    other users of the queue. An item that another process has begun to put into a
    `multiprocessing` queue is read to its end, though.

    Args:
        q: a queue of the modules `queue` or `multiprocessing`, or one that behaves as they do.
        block: whether to wait until there is an item.
        timeout: seconds to wait at most; None waits for ever. Without `block` it has no effect.
        aio_interval: seconds between two looks at an empty queue.

    Returns:
        The item.

    Raises:
        queue.Empty: there was no item (in time).
        ValueError: `timeout` or `aio_interval` is negative.

    **Cancellation.** Nothing has been removed: no item is lost.
    """
    import queue

    return await _retry(lambda: q.get(False), queue.Empty, block, timeout, aio_interval)


async def _retry(
    attempt: Callable[[], Any],
    refused: type[Exception],
    block: bool,
    timeout: float | None,
    interval: float,
) -> Any:
    """Try until it works or time is up, by the clock."""
    import asyncio

    if block and timeout is not None and timeout < 0:
        raise ValueError(f"timeout must be None, zero or more, not {timeout!r}")
    if interval < 0:
        raise ValueError(f"aio_interval must be zero or more, not {interval!r}")
    clock = asyncio.get_running_loop().time
    deadline = None if timeout is None else clock() + timeout
    while True:
        try:
            return attempt()
        except refused:
            rest = interval if deadline is None else deadline - clock()
            if not block or (deadline is not None and rest <= 0):
                raise
        await asyncio.sleep(min(interval, rest))
