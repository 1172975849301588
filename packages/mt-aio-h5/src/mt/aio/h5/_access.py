"""What can be awaited on an open HDF5 file, whether it is being created, extended or read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mt.aio.h5._codec import Deflate, check_deflate
from mt.aio.h5._lane import in_lane

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.h5._draft import Draft
    from mt.aio.h5._open import Reader
    from mt.aio.h5._report import Progress

T = TypeVar("T")
P = ParamSpec("P")


class Access:
    """The awaitable methods of an open file; a subclass opens and closes it."""

    context_vars: ContextVars
    _path: str

    async def write(
        self,
        name: str,
        data: Any = None,
        *,
        attrs: Mapping[str, Any] | None = None,
        progress: Progress = None,
        deflate: Deflate = "auto",
        **options: Any,
    ) -> None:
        """Create a dataset, whole or not at all.

        The result is that of `handle.create_dataset(name, data=data, **options)`, whatever the
        options. Chunks with gzip, with or without shuffle, are compressed in threads, one per
        core; everything else is done by h5py itself, piece by piece where the data is an array.

        **Modes.** Asynchronous: off the event loop, after the HDF5 work that was issued before.
        Synchronous: right here, with the same threads for compressing.

        Args:
            name: the dataset's name, absolute or relative; missing groups are created.
            data: an array, or whatever else `create_dataset` takes: lists, numbers, text. It must
                not be changed until the call ends.
            attrs: attributes to give to the dataset.
            progress: a function that is called with the bytes done and the bytes in all after
                each piece, or a bar with `update` and `total`, such as tqdm's. It is used in the
                thread that does the work; what it raises ends the writing.
            deflate: the library that makes gzip chunks: `"isal"` (the extra `fast`),
                `"zlib_ng"`, `"zlib"`; `"auto"` is isal if installed, else zlib. isal takes over
                levels 1 to 6, the others remain zlib's. Readers see no difference; the sizes
                differ by some per cent.
            **options: the further arguments of `h5py.Group.create_dataset`: `shape`, `dtype`,
                `chunks`, `maxshape`, `compression`, `compression_opts`, `shuffle`, `fillvalue`...

        Raises:
            RuntimeError: the context is not open, or `handle` was closed.
            TypeError: HDF5 has no type for the data, or an option is unknown.
            ValueError: there is something of this name, or it is empty or has a zero in it; or an
                option does not fit.
            ModuleNotFoundError: the package that `deflate` names is not installed.
            OSError: what the system reports; io.UnsupportedOperation if the file is open for
                reading only.

        **Cancellation.** Looked for between pieces; the dataset is removed then.

        **On error.** The dataset is removed; groups that were created for it stay.

        **Concurrency.** At most 64 MiB are used beyond the data, with chunks up to 8 MiB.

        Example:
            >>> import numpy, os, tempfile
            >>> from mt.aio.core import srun
            >>> from mt.aio.h5 import CreateFileH5
            >>> async def save(path, data, context_vars={}):
            ...     async with CreateFileH5(path, context_vars=context_vars) as f:
            ...         await f.write("x", data, compression="gzip", shuffle=True)
            >>> srun(save, os.path.join(tempfile.mkdtemp(), "x.h5"), numpy.arange(10))
        """
        from mt.aio.h5._write import How, write_dataset

        if not isinstance(name, str):
            raise TypeError(f"name is a str, not {name!r}")
        if not name or "\0" in name:  # where there is a zero, HDF5 takes the name to end
            raise ValueError(f"{name!r} is no name in HDF5")
        check_deflate(deflate)
        file = self._opened(writing=True).handle
        how = How(options, deflate, progress, attrs or {})
        await self.run(write_dataset, file, self._path, name, data, how)

    async def read(self, name: str, selection: Any = (), *, progress: Progress = None) -> Any:
        """Read a dataset, or a part of it.

        The result is that of `handle[name][selection]`. Chunks with gzip are decompressed in
        threads, one per core.

        **Modes.** As for `write`.

        Args:
            name: the dataset's name.
            selection: whatever h5py takes between brackets: numbers, slices, `...`, lists, masks,
                names of fields; `numpy.s_[...]` makes one. Everything unless given.
            progress: as for `write`.

        Returns:
            An array, or a single value if the selection is one.

        Raises:
            RuntimeError: the context is not open, or `handle` was closed.
            KeyError: there is nothing of this name.
            TypeError: it is a group; the selection makes no sense.
            IndexError: the selection is out of range.
            OSError: the data is damaged, or what the system reports.

        **Cancellation.** Looked for between pieces.

        **Concurrency.** At most 64 MiB are used beyond the result, with chunks up to 8 MiB.
        """
        from mt.aio.h5._read import read_dataset

        if not isinstance(name, str):
            raise TypeError(f"name is a str, not {name!r}")
        file = self._opened().handle
        return await self.run(read_dataset, file, self._path, name, selection, progress)

    async def run(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run any blocking HDF5 code off the event loop, in the lane of all HDF5 work.

        **Modes.** Asynchronous: a worker thread calls it, after the HDF5 work that was issued
        before. Synchronous: it is called right here.

        Args:
            func: a plain function, such as a method of `handle` or of a dataset.
            *args: its positional arguments.
            **kwargs: its keyword arguments.

        Returns:
            What `func` returns. What HDF5 holds back of a dataset is written first.

        Raises:
            RuntimeError: the context is not open.
            OSError: HDF5 could not write; a file that is being made is given up then. For errors
                of h5py's that stand for the system's, with its number.
            Exception: whatever else `func` raises.
            MissingModeError: `context_vars` has no `"async"` key.

        **Cancellation.** A call that has begun is waited for, then the cancellation is raised.

        Example:
            >>> import os, tempfile
            >>> from mt.aio.core import srun
            >>> from mt.aio.h5 import CreateFileH5
            >>> async def save(path, data, context_vars={}):
            ...     async with CreateFileH5(path, context_vars=context_vars) as f:
            ...         await f.run(f.handle.create_dataset, "x", data=data, compression="gzip")
            >>> srun(save, os.path.join(tempfile.mkdtemp(), "x.h5"), [1, 2, 3])
        """
        job = partial(func, *args, **kwargs)
        return await in_lane(self._opened().work, job, context_vars=self.context_vars)

    def _opened(self, *, writing: bool = False) -> Draft | Reader:
        """Give what keeps the open file, or say why there is none (that can be written)."""
        raise NotImplementedError
