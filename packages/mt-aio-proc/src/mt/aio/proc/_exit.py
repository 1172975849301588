"""What becomes of the children when this process ends or forks."""

from __future__ import annotations

import atexit
import os
import time
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from mt.aio.core.lowlevel import living
from mt.aio.proc import _pickling, _zygote

if TYPE_CHECKING:
    from mt.aio.proc._link import Link
    from mt.aio.proc._station import Station

AT_EXIT = 0.5  # seconds for all children to end when the interpreter does; arbitrary

links: WeakValueDictionary[int, Link | Station] = WeakValueDictionary()  # by their ids


def _disown_all() -> None:
    for link in living(links.valuerefs()):
        link.disown()
    _zygote.disown()
    _pickling.renew()


def _close_all() -> None:
    """Let all children end with the interpreter; it waits a moment for them, then kills."""
    here = os.getpid()
    ours = [each for each in living(links.valuerefs()) if not each.ended and each.owner == here]
    for link in ours:
        link.begin_close()
    deadline = time.monotonic() + AT_EXIT
    for link in ours:
        link.finish(max(deadline - time.monotonic(), 0))
    _zygote.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
