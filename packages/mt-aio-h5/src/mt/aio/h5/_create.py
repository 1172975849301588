"""The context in which an HDF5 file is created safely."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from mt.aio.fs.lowlevel import check_file_mode, check_path, durability_of
from mt.aio.h5._draft import Draft
from mt.aio.h5._lane import in_lane

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    import h5py

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs.lowlevel import Durability

T = TypeVar("T")
P = ParamSpec("P")


class CreateFileH5:
    """A context for creating an HDF5 file safely.

    It creates a temporary HDF5 file for writing, beside the target and with the extension
    `.mttmp`. Once the user exits the context, the file is closed, chmodded and renamed to the
    given name. Any intermediate folder that does not exist is created automatically. If the body
    raises or is cancelled, the temporary file is removed and the target stays as it was.

    **Modes.** `with` is synchronous and reads no `context_vars`. `async with` goes by them:
    in asynchronous mode creating, closing and renaming happen in a worker thread; in synchronous
    mode they happen right here, and `srun` can run it. What the body does with `handle` happens
    where the body runs, in every mode, and blocks the event loop; `run` takes it elsewhere.

    Args:
        filepath: local file path to be written to; a symbolic link is followed.
        file_mode: the file's mode. None keeps the mode of an existing file and leaves that of a
            new one to the umask.
        context_vars: the mode, see [context_vars](../concepts/context-vars.md); only used by
            `async with` and `run`.
        logger: a `logging.Logger` for debugging purposes.
        durability: what a power cut may do. `"none"`: anything to a file written shortly before;
            `"atomic"`: leave the old or the new content; `"full"`: nothing, once the context has
            been left. None: as `context_vars["durability"]` says, else `"atomic"`.

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
        OSError: on entering and leaving: what the system reports.

    **Cancellation.** Until the renaming, a cancellation ends in the temporary file's removal and
    an untouched target; after it, the file is complete. The coroutine ends when the worker thread
    has.

    **On error.** Also when closing, flushing or renaming fails: the temporary file is removed,
    the target is untouched, the error is raised. A process that is killed leaves the temporary
    file behind, and the target whole. Leave the closing to the context: should the disk be full,
    a `handle.close()` in the body can leave HDF5 in a state that crashes the process.

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
    ) -> None:
        self._path = check_path(filepath)
        check_file_mode(file_mode)
        self.filepath = filepath
        self.file_mode = file_mode
        self.context_vars = context_vars
        self.logger = logger
        self._durability = durability_of(context_vars, durability)
        self._draft: Draft | None = None

    if not TYPE_CHECKING:  # or a checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            """Say why an attribute is not there yet."""
            hint = ""
            if name in {"handle", "tmp_filepath"}:
                hint = " before it is entered for the first time by `with` or `async with`"
            raise AttributeError(f"CreateFileH5 has no attribute {name!r}{hint}")

    def __enter__(self) -> Self:
        """Create the temporary file, blocking."""
        draft = self._begin()
        try:
            draft.open()
        except BaseException:
            self._draft = None
            raise
        return self._show(draft)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the file, or remove it if the body raised; blocking."""
        draft = self._end()
        if kind is None:
            draft.finish()
            self._log("%s: written", self._path)
        else:
            draft.abandon()
            self._log("%s: left as it was, %s removed", self._path, self.tmp_filepath)

    async def __aenter__(self) -> Self:
        """Create the temporary file, where the mode says."""
        draft = self._begin()
        try:
            await in_lane(draft.open, context_vars=self.context_vars)
        except BaseException as exc:
            self._draft = None
            await self._abandon(draft, exc)  # a cancellation may have come too late for `open`
            raise
        return self._show(draft)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the file, or remove it if the body raised; where the mode says."""
        draft = self._end()
        if error is None:
            try:
                await in_lane(draft.finish, context_vars=self.context_vars)
            except BaseException as exc:
                await self._abandon(draft, exc)  # a cancellation may have withdrawn `finish`
                raise
            self._log("%s: written", self._path)
        else:
            await self._abandon(draft, error)
            self._log("%s: left as it was, %s removed", self._path, self.tmp_filepath)

    async def run(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run any blocking HDF5 code off the event loop, in the lane of all HDF5 work.

        **Modes.** Asynchronous: a worker thread calls it, after the HDF5 work that was issued
        before. Synchronous: it is called right here.

        Args:
            func: a plain function, such as a method of `handle` or of a dataset.
            *args: its positional arguments.
            **kwargs: its keyword arguments.

        Returns:
            What `func` returns. What it raises is raised.

        Raises:
            RuntimeError: the context is not open.
            MissingModeError: `context_vars` has no `"async"` key.

        **Cancellation.** A call that has begun is waited for, then the cancellation is raised.

        Example:
            >>> import os, tempfile
            >>> from mt.aio.core import srun
            >>> async def save(path, data, context_vars={}):
            ...     async with CreateFileH5(path, context_vars=context_vars) as f:
            ...         await f.run(f.handle.create_dataset, "x", data=data, compression="gzip")
            >>> srun(save, os.path.join(tempfile.mkdtemp(), "x.h5"), [1, 2, 3])
        """
        if self._draft is None:
            raise RuntimeError(f"CreateFileH5({self._path!r}) is not open: run inside its context")
        return await in_lane(partial(func, *args, **kwargs), context_vars=self.context_vars)

    def _begin(self) -> Draft:
        if self._draft is not None:
            raise RuntimeError(
                f"CreateFileH5({self._path!r}) is open already: use one object for each context"
            )
        self._draft = Draft(self._path, self.file_mode, self._durability)
        return self._draft

    def _show(self, draft: Draft) -> Self:
        self.tmp_filepath = draft.tmp_filepath
        self.handle = draft.handle
        self._log("%s: being written as %s", self._path, self.tmp_filepath)
        return self

    def _end(self) -> Draft:
        draft, self._draft = self._draft, None
        if draft is None:
            raise RuntimeError(f"CreateFileH5({self._path!r}) is not open, so it cannot be left")
        return draft

    async def _abandon(self, draft: Draft, reason: BaseException) -> None:
        """Remove an open draft, however often the task is cancelled meanwhile."""
        if isinstance(reason, GeneratorExit):  # a coroutine that is being closed must not await
            if draft.is_open:
                draft.abandon()
            return
        interrupted: BaseException | None = None
        while draft.is_open:
            try:
                await in_lane(draft.abandon, context_vars=self.context_vars)
            except BaseException as exc:  # noqa: BLE001  # raised below, when all is done
                interrupted = exc
        if interrupted is not None:
            raise interrupted

    def _log(self, text: str, *args: object) -> None:
        if self.logger is not None:
            self.logger.debug(text, *args)
