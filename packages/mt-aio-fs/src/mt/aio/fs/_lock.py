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


class Lock:
    """The lock of a file, which this process has or has not.

    If Ctrl-C comes between two steps, what is left to do is done when the lock is let go of:
    a notebook goes on living after it, and would have the lock for ever.

    Args:
        filepath: the path of the lock
    """

    __slots__ = ("_fd", "_is_ending", "_is_held", "_owner", "filepath")

    def __init__(self, filepath: str) -> None:
        self.filepath = filepath
        self._fd: int | None = None
        self._is_held = self._is_ending = False
        self._owner = os.getpid()

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            Busy: if somebody else has it
            OSError: what the system reports, such as a missing folder
        """
        while not self._try():
            self._close()

    def release(self) -> None:
        """Give the lock back, if it has been taken. Never raises an OSError."""
        if self._fd is not None and self._is_held:
            begun, self._is_ending = self._is_ending, True
            with suppress(OSError):
                # The second time the file may be gone, and the next one somebody else's.
                if not begun or _is_current(self.filepath, self._fd):
                    os.unlink(self.filepath)  # before others can lock it
            with suppress(OSError):
                _unlock(self._fd)  # a forked child may have the descriptor, too
            self._is_held = self._is_ending = False
        self._close()

    def _try(self) -> bool:
        """Open the file and lock it; False if it is no longer there."""
        self._fd = _open(self.filepath)
        try:
            try:
                _lock(self._fd)
            except BlockingIOError:
                holder = os.pread(self._fd, 200, 0).decode(errors="replace")
                raise Busy(holder or "a process that has just begun") from None
            if not _is_current(self.filepath, self._fd):
                return False
            self._is_held = True
            with suppress(OSError):  # on a full disk: then nobody learns who has it
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, _who().encode(errors="replace"), 0)
        except (Busy, OSError):
            self._close()
            raise
        return True

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_owner", None) == os.getpid():  # a forked child's copy is no matter
            self.release()


if sys.platform == "win32":

    def _open(filepath: str) -> int:
        """Refuse: Windows has other locks, and removes no open file."""
        raise NotImplementedError("locking a file between processes is for POSIX systems")

    def _lock(fd: int) -> None: ...

    def _unlock(fd: int) -> None: ...

else:
    import fcntl

    def _open(filepath: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(filepath, flags, 0o666)

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


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
