"""What becomes of the children when this process ends or forks."""

from __future__ import annotations

import atexit
import os
import time
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from mt.aio.proc import _zygote

if TYPE_CHECKING:
    from mt.aio.proc._link import Link
    from mt.aio.proc._station import Station

AT_EXIT = 0.5  # seconds for all children to end when the interpreter does; arbitrary

links: WeakValueDictionary[int, Link | Station] = WeakValueDictionary()  # by their ids


def _all() -> list[Link | Station]:
    """Copy at once what there is: `values` would fail over what other threads add meanwhile."""
    return [link for ref in links.valuerefs() if (link := ref()) is not None]


def _disown_all() -> None:
    for link in _all():
        link.disown()
    _zygote.disown()


def _close_all() -> None:
    """Let all children end with the interpreter; it waits a moment for them, then kills."""
    living = [link for link in _all() if not link.ended and os.getpid() == link.owner]
    for link in living:
        link.begin_close()
    deadline = time.monotonic() + AT_EXIT
    for link in living:
        link.finish(max(deadline - time.monotonic(), 0))
    _zygote.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
