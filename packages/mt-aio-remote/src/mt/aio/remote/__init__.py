"""Object stores for the files of mt.aio: S3, Google Cloud Storage, Azure, HTTP, memory."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.remote._store import close, configure

__all__ = ["close", "configure"]

publish(globals())
