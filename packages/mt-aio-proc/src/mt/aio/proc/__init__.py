"""A helper process that always answers or says why not, and queues that can be awaited."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.proc import lowlevel as lowlevel  # gives the errors their public names
from mt.aio.proc._process import BgProcess
from mt.aio.proc._queue import qget_aio, qput_aio

__all__ = ["BgProcess", "qget_aio", "qput_aio"]

publish(globals())
