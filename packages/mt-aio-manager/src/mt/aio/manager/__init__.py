"""Send asynchronous procedures to a manager and forget them; no error is lost."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.manager._aproc import CleanupTimeoutError, CutOff
from mt.aio.manager._manager import AprocManager

__all__ = ["AprocManager", "CleanupTimeoutError", "CutOff"]

publish(globals())
