"""The context in which an HDF5 file is created safely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mt.aio.fs.lowlevel import check_file_mode, check_path, durability_of, remote_of
from mt.aio.h5._context import DraftContext
from mt.aio.h5._draft import Plan

if TYPE_CHECKING:
    import os

    import h5py

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs.lowlevel import Durability
    from mt.aio.h5._draft import Draft
    from mt.aio.h5._open import Reader


class CreateFileH5(DraftContext):
    """A context for creating an HDF5 file safely.

    It creates a temporary HDF5 file for writing, beside the target and with the extension
    `.mttmp`. Once the user exits the context, the file is closed, chmodded and renamed to the
    given name. Any intermediate folder that does not exist is created automatically. If the body
    raises or is cancelled, the temporary file is removed and the target stays as it was.

    **Modes.** `with` is synchronous and reads no `context_vars`. `async with` goes by them:
    in asynchronous mode creating, closing and renaming happen in a worker thread; in synchronous
    mode they happen right here, and `srun` can run it. What the body does with `handle` happens
    where the body runs, in every mode, and blocks the event loop; `write`, `read` and `run` take
    it elsewhere.

    Args:
        filepath: local file path to be written to; a symbolic link is followed. Or, with
            mt-aio-remote, the URL of an object: the temporary file is made in the system's folder
            for these, and uploaded at the end; see `mt.aio.remote`.
        file_mode: the file's mode. None keeps the mode of an existing file and leaves that of a
            new one to the umask.
        context_vars: the mode, see [context_vars](../concepts/context-vars.md); only used by
            `async with` and the awaitable methods.
        logger: a `logging.Logger` for debugging purposes.
        durability: what a power cut may do. `"none"`: anything to a file written shortly before;
            `"atomic"`: leave the old or the new content; `"full"`: nothing, once the context has
            been left. None: as `context_vars["durability"]` says, else `"atomic"`.
        verify: open the finished file once more and read everything in it before it is renamed;
            if that fails, the target stays as it was.

    Attributes:
        tmp_filepath: the local file path of the temporary HDF5 file, from the first entering on.
        handle: the handle of the temporary HDF5 file, likewise; closed after the context. It and
            the datasets and groups reached through it need not be closed in the body.

    Raises:
        TypeError: `filepath` is neither a `str` nor an `os.PathLike` of one, or `file_mode` is
            no int.
        ValueError: the durability is unknown or the file mode out of range.
        IsADirectoryError: on entering: the path leads to a folder.
        RuntimeError: on entering: the context is open already. It may be entered again after it
            was left.
        MissingModeError: on entering by `async with`: `context_vars` has no `"async"` key.
        OSError: on entering and leaving: what the system reports; on leaving with `verify`: the
            file cannot be read back.

    **Cancellation.** Until the renaming, a cancellation ends in the temporary file's removal and
    an untouched target; after it, the file is complete. The coroutine ends when the worker thread
    has.

    **On error.** Also when closing, flushing or renaming fails: the temporary file is removed,
    the target is untouched, the error is raised. A process that is killed leaves the temporary
    file behind, and the target whole.

    A file that HDF5 could not write once, in `write` or `run`, is given up: whatever is awaited
    on the context afterwards raises that error anew, and so does leaving it. An error that
    stands for the system's has its number, `ENOSPC`, say, whatever kind h5py gave it.

    Not in our hands is what the body does with `handle` itself. Should the disk be full, then
    `handle.close()` there, or a dataset that was filled and dropped there, can leave HDF5 in a
    state that crashes the process later; the target stays whole. Keep such datasets until the
    context ends, or let `write` or `run` do it.

    **Concurrency.** Any number of contexts may write one target; the last one to end wins, whole.
    Who has the old file open keeps its content. In asynchronous mode all HDF5 work of mt.aio is
    done one piece after the other, since h5py locks globally.

    Example:
        >>> import h5py, os, tempfile
        >>> from mt.aio.h5 import CreateFileH5
        >>> folder = tempfile.mkdtemp()
        >>> path = os.path.join(folder, "new", "file.h5")
        >>> with CreateFileH5(path) as f:
        ...     f.handle["x"] = [1, 2, 3]
        >>> with h5py.File(path) as f:
        ...     f["x"][:].tolist()
        [1, 2, 3]
    """

    tmp_filepath: str
    handle: h5py.File

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        file_mode: int | None = 0o664,
        context_vars: ContextVars = {},
        logger: Any = None,  # whatever has a method `debug`
        *,
        durability: Durability | None = None,
        verify: bool = False,
    ) -> None:
        self._path = check_path(filepath)
        check_file_mode(file_mode)
        self.filepath = filepath
        self.file_mode = file_mode
        self.context_vars = context_vars
        self.logger = logger
        self._plan = Plan(file_mode, durability_of(context_vars, durability), verify)

    def _draft_of(self) -> Draft | Reader:
        if "://" in self._path and (remote := remote_of(self._path)) is not None:
            from mt.aio.h5._upload import Upload

            return Upload(self._path, self._plan, remote)
        return super()._draft_of()
