"""Waiting for a queue on the running event loop, each kind in its own way."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from queue import Empty, Full
from threading import Condition
from typing import Any

from mt.aio.proc._queue_kind import Kind
from mt.aio.proc._queue_line import Line
from mt.aio.proc._queue_slot import slot_line_of


async def get(
    kind: Kind, q: Any, timeout: float | None, interval: float, *, tried: bool = False
) -> Any:
    """Get an item, waiting for it as long as may be; `tried` means that there was none just now."""
    deadline = None if timeout is None else time.monotonic() + timeout
    if kind is Kind.PLAIN:
        return await _plain_line(q, "not_empty", "empty", interval).wait(
            partial(q.get, False), Empty, deadline
        )
    if kind is Kind.AWAITED:
        return await q.get(timeout != 0, timeout)
    if kind is not Kind.PROXY:
        from mt.aio.proc._queue_process import getter_of

        getter = getter_of(q)
        if getter is not None:
            attempt = partial(getter.get, q)
            if tried:
                return await getter.line().wait(attempt, Empty, deadline)
            return await _wait(attempt, Empty, deadline, getter.line)
    from mt.aio.proc._queue_remote import remote_getter

    remote = remote_getter(q)
    if timeout == 0:
        return await remote.look()
    return await remote.wait(remote.attempt, Empty, deadline)


async def put(kind: Kind, q: Any, obj: Any, timeout: float | None, interval: float) -> None:
    """Put an object, waiting for room as long as may be."""
    deadline = None if timeout is None else time.monotonic() + timeout
    if kind is Kind.PLAIN:
        line = _plain_line(q, "not_full", "full", interval)
        await line.wait(lambda: q.put(obj, False), Full, deadline)
    elif kind is Kind.AWAITED:
        await q.put(obj, timeout != 0, timeout)
    elif kind is Kind.PROXY:
        from mt.aio.proc._queue_remote import remote_putter

        await remote_putter(q).put(obj, deadline)
    elif kind is Kind.PIPE:
        from mt.aio.proc._queue_process import pickled, putter_of

        putter, data = putter_of(q), pickled(obj)
        await _wait(lambda: putter.put(data), Full, deadline, putter.line)
    else:
        from mt.aio.proc._queue_process import prepared

        item = prepared(q, obj)
        await _wait(lambda: q.put(item, False), Full, deadline, lambda: _slot_line(q, interval))


async def _wait(
    attempt: Callable[[], Any],
    refused: type[Exception],
    deadline: float | None,
    line: Callable[[], Line],
) -> Any:
    """Try, and get in line only if that was in vain."""
    try:
        return attempt()
    except refused:
        if deadline is not None and time.monotonic() >= deadline:
            raise
    return await line().wait(attempt, refused, deadline)


def _plain_line(q: Any, condition_name: str, hopeless: str, interval: float) -> Line:
    """Give the line of a queue's condition, or of the timer if it has none."""
    condition = getattr(q, condition_name, None)
    if isinstance(condition, Condition):
        from mt.aio.proc._queue_thread import line_of

        return line_of(condition)
    from mt.aio.proc._queue_poll import poller

    return poller().line(q, hopeless, interval)


def _slot_line(q: Any, interval: float) -> Line:
    line = slot_line_of(q)
    if line is not None:
        return line
    from mt.aio.proc._queue_poll import poller

    return poller().line(q, "full", interval)
