"""The context in which an HDF5 file that exists is read or extended."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.fs.lowlevel import (
    absolute,
    check_file_mode,
    check_path,
    durability_of,
    remote_of,
)
from mt.aio.h5._close import close_file
from mt.aio.h5._context import DraftContext
from mt.aio.h5._draft import Draft, Plan, Work
from mt.aio.h5._explain import explained, numbered

if TYPE_CHECKING:
    import h5py

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs.lowlevel import Durability

T = TypeVar("T")

OpenMode: TypeAlias = Literal["r", "r+", "a"]

_BASES = {"r": "none", "r+": "must", "a": "old"}


class Reader(Work):
    """A file that is open for reading; the same steps as a draft's."""

    def __init__(self, filepath: str, *, locking: bool | None) -> None:
        self.tmp_filepath = absolute(filepath)
        self._locking = locking
        self.is_open = False
        self.handle: h5py.File

    def open(self) -> None:
        """Open the file."""
        check_cancelled()
        self.handle = open_to_read(self.tmp_filepath, self._locking)
        self.is_open = True

    def finish(self) -> None:
        """Close the file."""
        self.is_open = False
        close_file(self.handle, self.tmp_filepath)

    abandon = finish

    def work(self, job: Callable[[], T]) -> T:
        """Do something with the open file."""
        with numbered(self.tmp_filepath, self.tmp_filepath):
            return job()


def open_to_read(filepath: str, locking: bool | None = None) -> h5py.File:
    """Open a file for reading, or say clearly why that is not possible.

    Raises:
        OSError: what is wrong with the file
    """
    import h5py

    if os.path.isdir(filepath):
        raise IsADirectoryError(errno.EISDIR, "Is a folder, not an HDF5 file", filepath)
    with explained(filepath):
        return h5py.File(filepath, "r", locking=locking)


class OpenFileH5(DraftContext):
    """A context for reading an HDF5 file, or for changing one safely.

    A file that is open for reading is simply opened. One that is to be changed is copied first:
    the body works on a temporary copy beside it, which replaces the file when the context is
    left, whole or not at all, as with `CreateFileH5`. Where the file system can (Btrfs, XFS), the
    copy shares the content and costs next to nothing; elsewhere it costs the time and the space
    of the whole file.

    **Modes.** `with` is synchronous and reads no `context_vars`. `async with` goes by them: in
    asynchronous mode opening, copying and closing happen in a worker thread. What the body does
    with `handle` happens where the body runs and blocks the event loop; `write`, `read` and `run`
    take it elsewhere.

    Args:
        filepath: local file path; a symbolic link is followed. Or, with mt-aio-remote, the URL of
            an object, which is brought to a temporary folder of this machine; one that has been
            changed is written back in one request, on condition that nobody else has changed it.
        mode: `"r"` to read; `"r+"` to change the file; `"a"` to change it or, if there is none,
            to create it, folders included.
        context_vars: the mode, see [context_vars](../concepts/context-vars.md); only used by
            `async with` and the awaitable methods.
        logger: a `logging.Logger` for debugging purposes.
        file_mode: the mode that a changed file gets. None keeps that of the file, and leaves that
            of a new one to the umask.
        durability: what a power cut may do to a changed file, as for `CreateFileH5`.
        verify: read a changed file back before it replaces the old one, likewise.
        locking: whether to lock a file that is open for reading, as for `h5py.File`; None leaves
            it to HDF5.

    Attributes:
        handle: the `h5py.File`, from the first entering on; closed after the context.
        tmp_filepath: the path of the file that is open: the temporary copy's, or the file's own
            if it is being read.

    Raises:
        TypeError: `filepath` is neither a `str` nor an `os.PathLike` of one, or `file_mode` is
            no int.
        ValueError: an unknown mode or durability.
        FileNotFoundError: on entering: there is no file, and the mode is not `"a"`.
        IsADirectoryError: on entering: the path leads to a folder.
        BlockingIOError: on entering: another process writes the file; the text says which one,
            where the system tells.
        RuntimeError: on entering: the context is open already.
        MissingModeError: on entering by `async with`: `context_vars` has no `"async"` key.
        OSError: on entering: it is no HDF5 file, or truncated, or damaged; on leaving: somebody
            else has changed the file meanwhile, which is then left as it is (errno `ESTALE`); and
            what the system reports.

    **Cancellation**, **On error.** As for `CreateFileH5`: the file stays as it was.

    **Concurrency.** Any number may read a file while it is being changed; they see the old
    content, and those who open it later the new one. Of two who change it at once, the second to
    end gets an error, unless both end in the same instant.

    Example:
        >>> import h5py, os, tempfile
        >>> from mt.aio.core import srun
        >>> from mt.aio.h5 import OpenFileH5
        >>> async def extend(path, context_vars={}):
        ...     async with OpenFileH5(path, "a", context_vars) as f:
        ...         await f.write("x", [1, 2, 3])
        ...         return await f.read("x", slice(1, None))
        >>> srun(extend, os.path.join(tempfile.mkdtemp(), "x.h5")).tolist()
        [2, 3]
    """

    tmp_filepath: str
    handle: h5py.File

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        mode: OpenMode = "r",
        context_vars: ContextVars = {},
        logger: Any = None,  # whatever has a method `debug`
        *,
        file_mode: int | None = None,
        durability: Durability | None = None,
        verify: bool = False,
        locking: bool | None = None,
    ) -> None:
        self._path = check_path(filepath)
        if mode not in _BASES:
            raise ValueError(f'mode is "r", "r+" or "a", not {mode!r}')
        check_file_mode(file_mode)
        self.filepath = filepath
        self.mode = mode
        self.context_vars = context_vars
        self.logger = logger
        self._locking = locking
        self._plan = Plan(file_mode, durability_of(context_vars, durability), verify, _BASES[mode])

    def _draft_of(self) -> Draft | Reader:
        if "://" in self._path and (remote := remote_of(self._path)) is not None:
            from mt.aio.h5._upload import Fetched, Revision

            if self.mode == "r":
                return Fetched(self._path, remote, locking=self._locking)
            return Revision(self._path, self._plan, remote)
        if self.mode == "r":
            return Reader(self._path, locking=self._locking)
        return Draft(self._path, self._plan)

    def _opened(self, *, writing: bool = False) -> Draft | Reader:
        draft = super()._opened()
        if writing and self.mode == "r":
            raise io.UnsupportedOperation(f'{self!r} is open for reading: use mode "r+" or "a"')
        return draft
