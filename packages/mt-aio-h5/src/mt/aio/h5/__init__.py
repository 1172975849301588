"""HDF5 files that are written whole or not at all, beside an event loop."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.h5._create import CreateFileH5
from mt.aio.h5._open import OpenFileH5
from mt.aio.h5._simple import h5_load, h5_save
from mt.aio.h5._tree import H5Item

__all__ = ["CreateFileH5", "H5Item", "OpenFileH5", "h5_load", "h5_save"]

publish(globals())
