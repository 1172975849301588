"""Queues in synchronous mode: their own methods, or the like where they have none."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, Full
from typing import Any

from mt.aio.core import srun
from mt.aio.proc._queue_kind import Kind, kind_of


def get_here(q: Any, block: bool, timeout: float | None, interval: float) -> Any:
    """Get an item in this thread."""
    kind = kind_of(q.__class__)
    if kind is Kind.AWAITED:
        return srun(q.get, block, timeout)
    if kind is not Kind.PIPE:
        return q.get(*_arguments(block, timeout))
    if block and timeout is None:
        return q.get()
    from mt.aio.proc._queue_process import getter_of

    getter = getter_of(q)
    if getter is None:
        raise TypeError(f"{type(q).__name__}.get() cannot be limited in time")
    return _retry(lambda: getter.get(q), Empty, block, timeout, interval)


def put_here(q: Any, obj: Any, block: bool, timeout: float | None, interval: float) -> None:
    """Put an object in this thread."""
    kind = kind_of(q.__class__)
    if kind is Kind.AWAITED:
        srun(q.put, obj, block, timeout)
    elif kind is not Kind.PIPE:
        if kind is Kind.PROCESS:
            from mt.aio.proc._queue_process import prepared

            obj = prepared(q, obj)
        q.put(obj, *_arguments(block, timeout))
    elif block and timeout is None:
        q.put(obj)
    else:
        from mt.aio.proc._queue_process import pickled, putter_of

        putter, data = putter_of(q), pickled(obj)
        _retry(lambda: putter.put(data), Full, block, timeout, interval)


def _retry(
    attempt: Callable[[], Any],
    refused: type[Exception],
    block: bool,
    timeout: float | None,
    interval: float,
) -> Any:
    """Try until it works or time is up."""
    deadline = time.monotonic() + (timeout or 0 if block else 0)
    while True:
        try:
            return attempt()
        except refused:
            if (rest := deadline - time.monotonic()) <= 0:
                raise
        time.sleep(min(interval, rest))


def _arguments(block: bool, timeout: float | None) -> list[Any]:
    """What to pass on; a queue of another make may know no timeout."""
    if not block:
        return [False]
    return [True] if timeout is None else [True, timeout]
