"""An HDF5 file in the making: plain blocking code, run wherever the mode says."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.fs.lowlevel import Replacement, absolute, make_folders, resolve_target
from mt.aio.h5._close import close_file, divert, settled
from mt.aio.h5._explain import could_not_write, explained, numbered

if TYPE_CHECKING:
    import h5py

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs.lowlevel import Durability, Target

T = TypeVar("T")

# Between pieces of this size a copy looks whether it was cancelled. Arbitrary: some milliseconds.
_PIECE = 32 * 2**20


class Plan(NamedTuple):
    """How a draft is to be made.

    Attributes:
        file_mode: the mode of the finished file; None: as it was, or the umask's
        durability: what a power cut may do
        verify: whether to read everything back before the file gets its name
        base: `"none"`: begin empty; `"old"`: with what the target holds, if there is one;
            `"must"`: likewise, and there must be one
    """

    file_mode: int | None
    durability: Durability
    verify: bool = False
    base: str = "none"


class Work:
    """The steps before an HDF5 file is opened and after it is finished.

    Most files are where they belong before and after, so that there is nothing to do.
    """

    def fetch_here(self) -> None:
        """Bring the file here that is to be opened, blocking."""

    async def fetch(self, context_vars: ContextVars) -> None:
        """Do the same where the mode says."""

    def deliver_here(self) -> None:
        """Bring the finished file to where it belongs, blocking."""

    async def deliver(self, context_vars: ContextVars) -> None:
        """Do the same where the mode says."""

    def remove(self) -> None:
        """Remove what is left, whatever has happened."""


class Draft(Work):
    """A temporary HDF5 file that becomes the target, or is thrown away.

    `open` comes first; `finish` or `abandon` ends it. Whatever `open` and `finish` raise, nothing
    is left behind.
    """

    def __init__(self, filepath: str, plan: Plan) -> None:
        self._filepath = absolute(filepath)
        self._plan = plan
        self._stamp: tuple[int, ...] | None = None
        self._broken: tuple[int | None, str | None] | None = None
        self.is_open = False
        self.handle: h5py.File
        self._new: Replacement

    @property
    def tmp_filepath(self) -> str:
        """The path of the temporary file."""
        return self._new.tmp_filepath

    def open(self) -> None:
        """Create the folders and the temporary file, and open it."""
        import h5py

        check_cancelled()
        target = resolve_target(self._filepath)
        if target.status is None:
            if self._plan.base == "must":
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._filepath)
            make_folders(os.path.dirname(target.filepath), self._plan.durability)
        self._new = Replacement(target, self._plan.file_mode)
        try:
            copied = self._plan.base != "none" and self._copy(target)
            self._new.close()  # HDF5 opens it by its name
            with explained(self._filepath):
                self.handle = h5py.File(self._new.tmp_filepath, "r+" if copied else "w")
        except BaseException:
            self._new.discard()
            raise
        self.is_open = True

    def finish(self) -> None:
        """Close the file and give it the target's name."""
        if self._broken is not None:
            self.abandon()
            self._check_sound()
        try:
            self._close()
            if self._plan.verify:
                from mt.aio.h5._verify import verify_file

                verify_file(self._new.tmp_filepath, self._filepath)
            if self._stamp is not None:
                self._check_unchanged(self._stamp)
            self._new.publish(self._plan.durability)
        finally:
            self._new.discard()

    def abandon(self) -> None:
        """Close the file and remove it."""
        try:
            self._close()
        except Exception:  # noqa: BLE001, S110  # it is thrown away: what it lacks is no news
            pass
        finally:
            self._new.discard()

    def _close(self) -> None:
        self.is_open = False  # whatever happens now, it is not to be tried twice
        close_file(self.handle, self._filepath)

    def work(self, job: Callable[[], T]) -> T:
        """Do something with the open file, unless it could not be written before.

        When HDF5 cannot write, what it holds back is not lost but tried again, be it when the
        last reference to a dataset is dropped; and if that fails, the process crashes later. So
        the file is led away from the disk as soon as a writing has failed, while the error still
        keeps the dataset.
        """
        self._check_sound()
        try:
            with numbered(self._filepath, self._new.tmp_filepath):
                return settled(job())
        except OSError as exc:
            if could_not_write(exc, self._new.tmp_filepath):
                self._broken = exc.errno, exc.strerror  # not what would keep all its frames alive
                divert(self.handle)
            raise

    def _check_sound(self) -> None:
        """Raise anew what has broken the file."""
        if self._broken is not None:
            raise OSError(*self._broken, self._filepath)

    def _copy(self, target: Target) -> bool:
        """Begin with what the target holds, if there is one."""
        if target.status is None:
            return False
        source = os.open(target.filepath, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            with explained(self._filepath):
                _share_lock(source)
            self._stamp = _stamp_of(os.fstat(source))
            _copy_content(source, self._new.fileno())
        finally:
            os.close(source)
        return True

    def _check_unchanged(self, stamp: tuple[int, ...]) -> None:
        """Refuse to replace what somebody else has written since it was copied."""
        now: tuple[int, ...] | None = None
        with suppress(FileNotFoundError):
            now = _stamp_of(os.stat(self._new.target))
        if now != stamp:
            text = "Was changed by somebody else meanwhile, and is left as they made it"
            raise OSError(errno.ESTALE, text, self._filepath)


def _stamp_of(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _share_lock(fd: int) -> None:
    """See that nobody is writing the file; HDF5's own locks are of this kind.

    Raises:
        BlockingIOError: somebody is
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows: the opening has failed already
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise OSError(exc.errno, "unable to lock file") from exc
    except OSError:  # a file system without locks
        return


def _copy_content(source: int, target: int) -> None:
    """Copy a file into an empty one; where the file system can, only references are copied."""
    try:
        while os.copy_file_range(source, target, _PIECE):
            check_cancelled()
    except (AttributeError, OSError) as exc:
        known = {errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ETXTBSY}
        if isinstance(exc, OSError) and exc.errno not in known:
            raise
    else:
        return
    import shutil

    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(target, 0, os.SEEK_SET)
    with os.fdopen(os.dup(source), "rb") as old, os.fdopen(os.dup(target), "wb") as new:
        shutil.copyfileobj(old, new, _PIECE)
