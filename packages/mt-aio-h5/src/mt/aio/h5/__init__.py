"""HDF5 files that are written whole or not at all, beside an event loop."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.h5._create import CreateFileH5

__all__ = ["CreateFileH5"]

publish(globals())
