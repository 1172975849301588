"""Giving a file a name that nobody has, in one step.

`os.rename` replaces what is there, and looking first leaves a gap. A hard link fails if its name is
taken, at every file system that has links; Linux can also be told to rename without replacing,
which serves those that have none (FAT, some network and FUSE ones).
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def move_exclusively(filepath: str, target: str) -> None:
    """Rename a file, or fail if something has the new name.

    Raises:
        FileExistsError: if something has it, be it a link to nowhere; `filename` is the target
        OSError: what the system reports; also if the file system can do neither of the two
    """
    try:
        if os.name == "nt":
            os.rename(filepath, target)  # which never replaces there
            return
        os.link(filepath, target, follow_symlinks=False)
    except FileExistsError as exc:
        exc.filename, exc.filename2 = target, None
        raise
    except OSError as exc:
        if exc.errno not in _NO_LINKS or sys.platform != "linux":
            raise
        _rename_without_replacing(filepath, target)
    else:
        # Both names stand for the one file now, which is complete. Killed here, or failing, the
        # process leaves a second name of it behind, which `sweep` removes.
        with suppress(OSError):
            os.unlink(filepath)


def _rename_without_replacing(filepath: str, target: str) -> None:
    import ctypes

    call = ctypes.CDLL(None, use_errno=True).renameat2
    names = (os.fsencode(filepath), _AT_FDCWD, os.fsencode(target))
    if call(_AT_FDCWD, *names, _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)
