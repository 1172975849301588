"""Replacing a file's content whole, or not at all.

The new content is written to a temporary file in the target's own folder and renamed over the
target. The guarantees, which hold on every file system whose rename is atomic:

- Whoever opens the target sees the whole old or the whole new content, at every instant. The
  target is never absent if it was there before.
- The temporary file's name is unique and cannot be guessed, and the file is created with O_EXCL
  and without following links: concurrent writers never share one, and a planted link catches
  nothing. Nobody but its owner can open it until its final mode is set, just before the rename.
- Until the rename, any error (a cancellation and Ctrl-C are errors, too) leaves the target as it
  was and removes the temporary file. After it, the write is complete.
- Symbolic links stay what they are: the file they lead to is replaced.

Not promised: a process that is killed leaves its temporary file behind. Other hard links of the
target keep the old content. The new file belongs to whoever writes it, and set-uid bits are not
carried over. A rename between two writers is won by the last.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.fs._durability import flush_file
from mt.aio.fs._exclusive import move_exclusively
from mt.aio.fs._folder import FolderFlush
from mt.aio.fs._temporary import is_mine, temporary_name

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from mt.aio.fs._durability import Durability

# Between pieces of this size a write looks whether it was cancelled. Arbitrary: some milliseconds.
_PIECE = 8 * 2**20

_PRIVATE = 0o600
_PERMISSIONS = 0o777

# Windows lacks the POSIX flags and wants its own; os.open adds O_CLOEXEC by itself where needed.
PLAIN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Target(NamedTuple):
    """A file to be written: its path with links followed, and what is there now.

    Attributes:
        filepath: the path of the file itself; for anything but a regular file, the path as given
        status: its `os.stat` result, None if there is none yet
    """

    filepath: str
    status: os.stat_result | None

    @property
    def is_special(self) -> bool:
        """Whether it is a device, FIFO or socket, which is written to and never replaced."""
        return self.status is not None and not stat.S_ISREG(self.status.st_mode)


def resolve_target(filepath: str) -> Target:
    """Find the file that a write to a path is about.

    Symbolic links are followed, also one that leads to a file yet to be made.

    Args:
        filepath: the path to be written

    Returns:
        The target; its folder may be missing.

    Raises:
        IsADirectoryError: if the path leads to a folder, or can only be one (it ends in a slash)
        FileNotFoundError: if the path is empty
        OSError: what the system says of the path: a loop of links, a file used as a folder
    """
    if not filepath:
        raise FileNotFoundError(errno.ENOENT, "The path is empty: name a file", filepath)
    try:
        status: os.stat_result | None = os.lstat(filepath)
    except FileNotFoundError:
        status = None
    if status is not None and stat.S_ISREG(status.st_mode):
        return Target(filepath, status)
    name = os.path.basename(filepath)
    if linked := status is not None and stat.S_ISLNK(status.st_mode):
        try:
            status = os.stat(filepath)
        except FileNotFoundError:
            status = None
    if name in {"", ".", ".."} or (status is not None and stat.S_ISDIR(status.st_mode)):
        text = "Is a folder, which a file cannot replace: name a file in it"
        raise IsADirectoryError(errno.EISDIR, text, filepath)
    # A device's or pipe's link may have no path behind it (/dev/stdout), so it is kept as it is.
    if linked and (status is None or stat.S_ISREG(status.st_mode)):
        filepath = os.path.realpath(filepath)
    return Target(filepath, status)


def write_all(fd: int, data: bytes | memoryview) -> int:
    """Write flat bytes to a descriptor, however often the system takes only a part.

    Returns:
        The number of bytes.

    Raises:
        asyncio.CancelledError: between two pieces, if whoever awaits this was cancelled
    """
    done = 0
    if isinstance(data, bytes) and len(data) <= _PIECE:  # mostly that is all
        done = os.write(fd, data) if data else 0
        if done == len(data):
            return done
    with memoryview(data) as view:
        while done < view.nbytes:
            if done:
                check_cancelled()
            done += os.write(fd, view[done : done + _PIECE])
        return done


class Replacement:
    """New content for a file, in the making beside it.

    A context manager: what has not been published when the block ends is discarded.

        with Replacement(resolve_target(filepath), file_mode) as new:
            write_all(new.fileno(), data)
            new.publish("atomic")

    To let a library write the file by name, call `close()` and hand it `tmp_filepath`; it must
    have closed the file when `publish` is called. It may truncate but not recreate it.

    Args:
        target: the file to be replaced, from `resolve_target`; its folder must exist
        file_mode: the mode that `publish` sets. None keeps the mode of a file that exists; a new
            one gets the umask's (or what the folder's default access list says).

    Raises:
        OSError: from creating the temporary file, with the target as its `filename`. A device,
            FIFO or socket cannot be replaced.

    Attributes:
        target: the path of the file that is replaced
        tmp_filepath: the path of the temporary file
    """

    __slots__ = ("_fd", "_file_mode", "_pending", "target", "tmp_filepath")

    def __init__(self, target: Target, file_mode: int | None = 0o664) -> None:
        if target.is_special:
            text = "Is not a regular file, which is all that can be replaced"
            raise OSError(errno.EINVAL, text, target.filepath)
        born = _PRIVATE
        if file_mode is None:
            if target.status is None:
                born = 0o666  # and the kernel takes away what the umask says
            else:
                file_mode = target.status.st_mode & _PERMISSIONS
        self.target: str = target.filepath
        self.tmp_filepath: str = temporary_name(target.filepath)
        self._file_mode = file_mode
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW | PLAIN_FLAGS
        self._fd: int | None = None
        self._pending = True  # at once: Ctrl-C may come before the descriptor is known
        try:
            self._fd = os.open(self.tmp_filepath, flags, born)
        except OSError as exc:
            self._pending = False
            exc.filename = self.target
            if isinstance(exc, FileNotFoundError):
                exc.add_note("Its folder is missing: create it, or pass make_dirs=True.")
            raise
        except BaseException:
            self.discard()
            raise

    def fileno(self) -> int:
        """Give the descriptor of the temporary file, open for reading and writing."""
        if self._fd is None:
            raise ValueError("the temporary file is closed: write to it by its tmp_filepath")
        return self._fd

    def close(self) -> None:
        """Close the descriptor, so that others may open the temporary file by its name."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def publish(self, durability: Durability, *, exclusive: bool = False) -> None:
        """Set the mode, flush, and give the temporary file the target's name.

        **Cancellation**: looked for once, right before the renaming; later is too late.

        **On error**: the target is as it was and the temporary file is gone. The one exception
        is a failing flush of the folder (`"full"`): the new content is in place by then.

        Args:
            durability: what a power cut may do: `"none"`, `"atomic"` or `"full"`
            exclusive: fail if there is a target by now, instead of replacing it

        Raises:
            FileExistsError: if there is a target and `exclusive` is asked for
            OSError: what the system reports
            asyncio.CancelledError: if whoever awaits this was cancelled
        """
        change = self.publish_for_now(durability, exclusive=exclusive)
        if change is not None:
            with change:
                change.flush()

    def publish_for_now(
        self, durability: Durability, *, exclusive: bool = False
    ) -> FolderFlush | None:
        """Do all that `publish` does but flush the folder, which is left to the caller.

        A job can return the rest with `mt.aio.core.lowlevel.later`, so that one flush is for many.

        Args:
            durability: as for `publish`
            exclusive: as for `publish`

        Returns:
            With `"full"`, what is to be flushed and closed; else None.

        Raises:
            FileExistsError: if there is a target and `exclusive` is asked for
            OSError: what the system reports; the target is as it was
            asyncio.CancelledError: if whoever awaits this was cancelled
        """
        change = None
        try:
            self._complete(durability)
            check_cancelled()
            if durability == "full":
                # Opened first: if that is not allowed, nothing has happened yet.
                change = FolderFlush(os.path.dirname(self.target))
            (move_exclusively if exclusive else replace)(self.tmp_filepath, self.target)
            self._pending = False
            if change is not None:
                change.done()
        except BaseException:
            if change is not None:
                change.close()
            raise
        finally:
            self.discard()
        return change

    def discard(self) -> None:
        """Remove the temporary file, if it has not been published. Never raises an OSError."""
        if self._fd is None and not self._pending:
            return
        with suppress(OSError):  # the content is thrown away: that it could not be kept is no news
            self.close()
        if self._pending:
            with suppress(OSError):  # the error that brought us here is the one to report
                os.unlink(self.tmp_filepath)
            self._pending = False  # last: if Ctrl-C comes in between, this is done once more

    def _complete(self, durability: Durability) -> None:
        if self._fd is None:
            self._fd = os.open(self.tmp_filepath, os.O_RDWR | _NOFOLLOW | PLAIN_FLAGS)
        if self._file_mode is not None:
            _set_mode(self._fd, self.tmp_filepath, self._file_mode)
        if durability != "none":
            flush_file(self._fd)
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()

    def __del__(self) -> None:
        # Ctrl-C may come before `with` has begun, or as it ends. What a parent makes stays its own.
        if getattr(self, "_pending", False) and is_mine(self.tmp_filepath):
            self.discard()


def replace(filepath: str, target: str) -> None:
    """Rename a file over another, atomically."""
    if sys.platform == "win32":
        import time

        # A reader (or a virus scanner) that has the target open forbids the renaming for as long.
        # Arbitrary: a second in steps of 10 ms.
        for _ in range(100):
            try:
                os.replace(filepath, target)
            except PermissionError:
                time.sleep(0.01)
            else:
                return
    os.replace(filepath, target)


def _set_mode(fd: int, filepath: str, file_mode: int) -> None:
    if sys.platform == "win32":  # os.fchmod came to Windows with Python 3.13
        os.chmod(filepath, file_mode)
    else:
        os.fchmod(fd, file_mode)
