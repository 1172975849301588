"""What `mt.aio.fs` and `mt.aio.h5` do with a URL: the same acts as with a path, by other means.

`exists`, `names`, `read` and `status` are asyn functions. `check` and `shown` look at the URL
alone. The others are plain and blocking; hand them to `offload` of `mt.aio.core.lowlevel` with
`network=True`, and `order=url` for what changes the object, to run them in both modes.
"""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.remote._copy import copy, download
from mt.aio.remote._list import names
from mt.aio.remote._look import exists, status
from mt.aio.remote._place import check, shown
from mt.aio.remote._read import read
from mt.aio.remote._remove import remove
from mt.aio.remote._stream import open_object
from mt.aio.remote._version import Version, read_version, replace
from mt.aio.remote._write import upload, write

__all__ = [
    "Version",
    "check",
    "copy",
    "download",
    "exists",
    "names",
    "open_object",
    "read",
    "read_version",
    "remove",
    "replace",
    "shown",
    "status",
    "upload",
    "write",
]

publish(globals())
