"""Flushing a folder: one flush for all who have changed something in it by then.

A flush takes long, and brings to the disk whatever was done in the folder before it begins. So of
those who have changed something, in any threads, one flushes for all (a group commit):

- A flush that began after somebody's change serves him, whoever does it, also if it has ended by
  the time he asks. One that began before the change does not: it may have gone past it already.
- While a flush is under way that serves one, he waits for its end. While one is that does not, he
  waits, too; when it has ended, one of those that are left does the next.
- An error is raised by all who were at the folder by then and had not been served, also if their
  change came during the failed flush: each would have got it from a descriptor of his own. Nobody
  tries again.

Nobody waits for a timer, nor for anybody in another folder.

The folder's descriptor is opened before the change, so that nothing has happened if that is not
allowed, and is shared by all who are at it: the system tells of a page that was lost only those who
had the folder open by then.
"""

from __future__ import annotations

import errno
import os
from _thread import allocate_lock  # which costs no import of threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from mt.aio.fs._durability import flush_file, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from mt.aio.fs._durability import Durability


class FolderFlush:
    """A change in a folder that is to be on the disk.

    A context manager, or `close` it:

        with FolderFlush(folder) as change:
            os.replace(...)
            change.done()
            change.flush()

    Args:
        folder: path to the folder

    Raises:
        OSError: what the system says of opening it
    """

    __slots__ = ("_group", "_since", "_turn")

    def __init__(self, folder: str) -> None:
        self._group = _enter(folder)
        self._since = 0 if self._group is None else self._group.ended
        self._turn: int | None = None

    def done(self) -> None:
        """Note that the change has been made: a flush that begins from now on serves it.

        Without this note, only one does that begins after `flush` was called.
        """
        if self._group is not None:
            self._turn = self._group.begun

    def flush(self) -> None:
        """Return when a flush has ended that began after the change.

        Raises:
            OSError: it failed, whoever did it
        """
        if self._group is None:
            return
        turn = self._group.begun if self._turn is None else self._turn
        try:
            self._group.flush(_Waiter(turn, self._since))
        finally:
            self._turn = None
            self._since = self._group.ended

    def close(self) -> None:
        """Say that no flush is needed any more."""
        if self._group is not None:
            group, self._group = self._group, None
            group.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Waiter:
    """One who wants a flush.

    Attributes:
        turn: how many flushes had begun when his change was made
        since: how many had ended when he came, or had his last one
        gate: opened when he has been served, or is to do the next flush
        leads: whether he is to do it
        error: what came of the one that served him
    """

    __slots__ = ("error", "gate", "leads", "since", "turn")

    def __init__(self, turn: int, since: int) -> None:
        self.turn = turn
        self.since = since
        self.gate = allocate_lock()
        self.gate.acquire()
        self.leads = False
        self.error: OSError | None = None


class _Group:
    """Those who change something in one folder, from the first one's coming to the last's going."""

    def __init__(self, key: tuple[int, int], fd: int) -> None:
        self.key = key
        self.fd = fd
        self.lock = allocate_lock()
        self.members = 0
        self.over = False
        self.busy = False
        # Flushes are numbered from 1: the last one begun, the last one ended, and those that failed
        # as (the last one that had ended before it, its number, its error).
        self.begun = 0
        self.ended = 0
        self.failed: list[tuple[int, int, OSError]] = []
        self.waiting: list[_Waiter] = []

    def join(self) -> bool:
        """Become a member; False if the group's last one has gone."""
        with self.lock:
            if not self.over:
                self.members += 1
            return not self.over

    def leave(self) -> None:
        """Be a member no more."""
        with self.lock:
            self.members -= 1
            if self.members:
                return
            self.over = True
            if _groups.get(self.key) is self:  # no more, in a forked child
                del _groups[self.key]
        os.close(self.fd)

    def flush(self, waiter: _Waiter) -> None:
        """Flush, or have it done, unless it has been done already."""
        try:
            with self.lock:
                if self._is_served(waiter):
                    waiter.gate.release()
                elif self.busy:
                    self.waiting.append(waiter)
                else:
                    self._appoint(waiter)
            waiter.gate.acquire()
            if waiter.leads:
                self._do(waiter)
        except BaseException:
            self._give_way(waiter)
            raise
        if waiter.error is not None:
            raise OSError(*waiter.error.args) from waiter.error

    def _do(self, waiter: _Waiter) -> None:
        """Flush for all whose change has been made."""
        with self.lock:
            self.begun += 1
            number = self.begun
        error = None
        try:
            flush_file(self.fd)
        except OSError as exc:
            error = exc
        with self.lock:
            if error is not None:
                self.failed.append((self.ended, number, error))
            self.ended = number
            waiter.error = error
            self._go_on(waiter)

    def _is_served(self, waiter: _Waiter) -> bool:
        """Tell whether a flush has ended that began after the change, or one has failed."""
        for before, number, error in self.failed:
            if waiter.since < number and before <= waiter.turn:
                waiter.error = error
                return True
        return self.ended > waiter.turn

    def _appoint(self, waiter: _Waiter) -> None:
        self.busy = True
        waiter.leads = True
        waiter.gate.release()

    def _go_on(self, waiter: _Waiter) -> None:
        """Let those go who have been served, and one of the others do the next flush."""
        if waiter.leads:
            self.busy = waiter.leads = False
        waiting, self.waiting = self.waiting, []
        for other in waiting:
            if self._is_served(other):
                other.gate.release()
            elif self.busy:
                self.waiting.append(other)
            else:
                self._appoint(other)

    def _give_way(self, waiter: _Waiter) -> None:
        """Do without one who has been interrupted, as by Ctrl-C; if he was to flush, another is."""
        with self.lock:
            if waiter in self.waiting:
                self.waiting.remove(waiter)
            self._go_on(waiter)


def is_crowded() -> bool:
    """Tell whether so many folders are held open that one had better not be kept for later."""
    return len(_groups) > _MOST


def flush_folder(folder: str) -> None:
    """Bring a folder's entries to the disk."""
    with FolderFlush(folder) as change:
        change.done()
        change.flush()


@contextmanager
def flushing(durability: Durability, *folders: str) -> Iterator[None]:
    """Change folders in the block; with `"full"` the changes are on the disk at its end.

    The folders are opened first: if that is not allowed, nothing has happened yet.
    """
    with ExitStack() as stack:
        wanted = folders if durability == "full" else ()
        changes = [stack.enter_context(FolderFlush(folder)) for folder in wanted]
        yield
        for change in changes:
            change.done()
        for change in changes:
            change.flush()


def make_folders(folder: str, durability: Durability) -> None:
    """Create a folder and the missing ones above it, with the umask's mode.

    With `"full"` the entry of each new folder is on the disk when this returns, whoever made it:
    one that is there already may have been made just now, by somebody who is about to flush it. As
    each is flushed before anything is made in it, that can be so of the last one only.
    """
    missing: list[str] = []
    if durability == "full":
        path = folder
        while path and not os.path.lexists(path):
            missing.append(path)
            path = os.path.dirname(path)
        if path:
            try:
                flush_folder(os.path.dirname(path))
            except OSError as exc:
                if exc.errno not in _UNFLUSHABLE:
                    raise
    for path in reversed(missing):
        os.makedirs(path, exist_ok=True)
        flush_folder(os.path.dirname(path))
    if folder and not missing:
        os.makedirs(folder, exist_ok=True)


def _enter(folder: str) -> _Group | None:
    """Join those who are at a folder; None where folders cannot be flushed."""
    if _groups:  # else there is nobody to be asked
        status = os.stat(folder or os.curdir)
        group = _groups.get((status.st_dev, status.st_ino))
        if group is not None and group.join():
            return group
    fd = open_folder(folder)
    if fd is None:
        return None
    try:
        status = os.fstat(fd)
        mine = _Group((status.st_dev, status.st_ino), fd)
        mine.members = 1
        while (group := _groups.setdefault(mine.key, mine)) is not mine:
            if group.join():
                os.close(fd)
                return group
    except BaseException:
        os.close(fd)
        raise
    return mine


def _renew() -> None:
    """Forget who was at what in the parent, in a forked child."""
    _groups.clear()


_MOST = 8  # arbitrary

# What comes of flushing a folder that is not ours to flush, or that is on no disk (autofs): nobody
# who wanted it flushed can have made anything in it.
_UNFLUSHABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL, errno.ENOTSUP}
_groups: dict[tuple[int, int], _Group] = {}  # by the folder's device and inode
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
