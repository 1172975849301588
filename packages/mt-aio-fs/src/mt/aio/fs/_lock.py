"""A lock between processes that does not wait, and that says who has it.

The lock is the system's own on an open file (`flock`), so a killed holder never keeps it, and two
openings exclude each other within a process, too. The file `.NAME.mtlock` lies beside the target,
since all who can update that can write there, also from other hosts. It holds a line on its
holder and is removed by it. One who has opened it before that and gets the lock after it has locked
a file that is no longer there, sees so, and begins again.

filelock does the same with more platforms and kinds of locks. Two things that are wanted here it
leaves to its caller, who would have to do them around it: to wait without keeping a thread, and
to name the holder. What is left is less than this page, and no dependency of all users of files.
"""

from __future__ import annotations

import errno
import os
import sys
from binascii import crc32
from contextlib import suppress

LOCK_SUFFIX = ".mtlock"

_MOST_BYTES = 255  # of a file name, nearly everywhere


class Busy(Exception):  # noqa: N818 - a state of affairs, not an error
    """Somebody else has the lock; the argument says who, as far as is known."""


def lock_path(target: str) -> str:
    """Say where the lock of a file is, which must have no links in its last part."""
    folder, name = os.path.split(target)
    if len(os.fsencode(name)) > _MOST_BYTES - len(LOCK_SUFFIX) - 1:
        name = f"{crc32(os.fsencode(name)):08x}"
    return os.path.join(folder, f".{name}{LOCK_SUFFIX}")


if sys.platform == "win32":

    def acquire(filepath: str) -> int:
        """Refuse: Windows has other locks, and removes no open file."""
        raise NotImplementedError("locking a file between processes is for POSIX systems")

    def release(filepath: str, fd: int) -> None:
        """Do nothing."""

else:
    import fcntl

    def acquire(filepath: str) -> int:
        """Take a lock.

        Args:
            filepath: the path of the lock

        Returns:
            What `release` wants.

        Raises:
            Busy: if somebody else has it
            OSError: what the system reports, such as a missing folder
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        while True:
            fd = os.open(filepath, flags, 0o666)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_current(filepath, fd):
                    with suppress(OSError):  # on a full disk: then nobody learns who has it
                        os.ftruncate(fd, 0)
                        os.pwrite(fd, _who().encode(errors="replace"), 0)
                    return fd
            except BlockingIOError:
                holder = os.pread(fd, 200, 0).decode(errors="replace")
                os.close(fd)
                raise Busy(holder or "a process that has just begun") from None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def release(filepath: str, fd: int) -> None:
        """Give a lock back. Never raises an OSError."""
        try:
            with suppress(OSError):
                os.unlink(filepath)  # before others can lock it
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)  # a forked child may have the descriptor, too
        finally:
            os.close(fd)

    def _is_current(filepath: str, fd: int) -> bool:
        """Say whether an open file still has its name."""
        try:
            return os.path.samestat(os.stat(filepath, follow_symlinks=False), os.fstat(fd))
        except OSError as exc:
            if exc.errno != errno.ENOENT:
                raise
            return False

    def _who() -> str:
        import time

        now = time.strftime("%Y-%m-%d %H:%M:%S")
        return f"process {os.getpid()} on {os.uname().nodename}, since {now}"
