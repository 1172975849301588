"""Files for asyn functions: whole, atomic, one hop each, in synchronous and asynchronous mode."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.fs._json import json_load, json_save
from mt.aio.fs._npz import npz_load, npz_save
from mt.aio.fs._read import read_binary, read_text
from mt.aio.fs._rename import safe_chmod, safe_rename
from mt.aio.fs._stream import open_file
from mt.aio.fs._tempdir import mkdtemp
from mt.aio.fs._write import write_binary, write_text

__all__ = [
    "json_load",
    "json_save",
    "mkdtemp",
    "npz_load",
    "npz_save",
    "open_file",
    "read_binary",
    "read_text",
    "safe_chmod",
    "safe_rename",
    "write_binary",
    "write_text",
]

publish(globals())
