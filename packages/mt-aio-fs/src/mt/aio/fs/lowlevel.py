"""What sibling pieces and authors of asyn functions need to write files as this piece does.

Everything here is plain and blocking; hand it to `mt.aio.core.lowlevel.offload` (with
`order=order_key(filepath)` for anything that changes a file) to run it in both modes. Inside, they
look for cancellation at the points that their docstrings name.

A library that writes a file by its name, such as HDF5, gets it replaced whole like this:

    new = Replacement(resolve_target(filepath), file_mode)  # born beside the target, mode 0600
    new.close()                                             # let others open it by its name
    ...                                                     # write to new.tmp_filepath, close it
    new.publish(durability_of(context_vars))                # chmod, flush, rename
    new.discard()                                           # or this instead: nothing happened

With `"full"`, jobs that write many files share the flush of the folder if they leave it for later:
`publish_for_now` gives what is left to be done, for `mt.aio.core.lowlevel.later`.
"""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.fs._atomic import Replacement, Target, resolve_target, write_all
from mt.aio.fs._check import check_file_mode
from mt.aio.fs._durability import Durability, durability_of, flush_file
from mt.aio.fs._folder import FolderFlush, flush_folder, make_folders
from mt.aio.fs._path import absolute, check_path, order_key
from mt.aio.fs._read import read_file
from mt.aio.fs._remote import Remote, remote_of
from mt.aio.fs._temporary import TEMPORARY_SUFFIX
from mt.aio.fs._write import write_file

__all__ = [
    "TEMPORARY_SUFFIX",
    "Durability",
    "FolderFlush",
    "Remote",
    "Replacement",
    "Target",
    "absolute",
    "check_file_mode",
    "check_path",
    "durability_of",
    "flush_file",
    "flush_folder",
    "make_folders",
    "order_key",
    "read_file",
    "remote_of",
    "resolve_target",
    "write_all",
    "write_file",
]

publish(globals())
