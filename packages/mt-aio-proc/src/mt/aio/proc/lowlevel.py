"""The errors of a helper process."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.proc._error import ChildClosedError, ChildDiedError, ChildError, ChildRaisedError

__all__ = ["ChildClosedError", "ChildDiedError", "ChildError", "ChildRaisedError"]

publish(globals())
