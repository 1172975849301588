"""What `mt.aio.fs` and `mt.aio.h5` do with a URL: the same acts as with a path, by other means.

`exists`, `read` and `status` are asyn functions. `check` and `shown` look at the URL alone.
`remove`, `upload` and `write` are plain and blocking; hand them to `offload` of
`mt.aio.core.lowlevel` with `order=url` to run them in both modes.
"""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.remote._look import exists, status
from mt.aio.remote._place import check, shown
from mt.aio.remote._read import read
from mt.aio.remote._remove import remove
from mt.aio.remote._write import upload, write

__all__ = ["check", "exists", "read", "remove", "shown", "status", "upload", "write"]

publish(globals())
