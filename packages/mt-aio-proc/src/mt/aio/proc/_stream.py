"""A reply in parts: the parent's side of the back-pressure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from mt.aio.proc import _protocol as protocol

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.proc._link import Link


async def stream(
    link: Link, msg: Any, timeout: float | None, ahead: int, context_vars: ContextVars
) -> AsyncIterator[Any]:
    """Send a message; give the parts of its reply; ask for another one as each is taken."""
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, not {ahead}")
    waiter = link.listener(context_vars)
    number = link.send(waiter, (ahead, msg), protocol.STREAM)
    done = False
    try:
        while True:
            frame = await waiter.wait(timeout)
            done = frame.kind != protocol.PART
            part = link.result(frame)
            if done:
                return
            link.more(number, protocol.MORE)
            yield part
    finally:
        link.forget(number)
        if not done:
            link.more(number, protocol.STOP)
