"""Files for asyn functions: whole, atomic, one hop each, in synchronous and asynchronous mode."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.fs._copy import copy
from mt.aio.fs._entry import exists, make_dirs, remove, rename, stat, symlink
from mt.aio.fs._json import json_load, json_save
from mt.aio.fs._npz import npz_load, npz_save
from mt.aio.fs._read import read_binary, read_text
from mt.aio.fs._read_many import read_many
from mt.aio.fs._rename import safe_chmod, safe_rename
from mt.aio.fs._stream import open_file
from mt.aio.fs._sweep import sweep
from mt.aio.fs._tempdir import mkdtemp
from mt.aio.fs._update import json_update
from mt.aio.fs._walk import walk
from mt.aio.fs._write import write_binary, write_text

__all__ = [
    "copy",
    "exists",
    "json_load",
    "json_save",
    "json_update",
    "make_dirs",
    "mkdtemp",
    "npz_load",
    "npz_save",
    "open_file",
    "read_binary",
    "read_many",
    "read_text",
    "remove",
    "rename",
    "safe_chmod",
    "safe_rename",
    "stat",
    "sweep",
    "symlink",
    "walk",
    "write_binary",
    "write_text",
]

publish(globals())
