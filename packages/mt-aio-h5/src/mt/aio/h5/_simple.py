"""HDF5 files in one line: nested dictionaries to a file and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mt.aio.core import asyn
from mt.aio.fs.lowlevel import absolute, check_path, remote_of
from mt.aio.h5._codec import Deflate, check_deflate
from mt.aio.h5._create import CreateFileH5
from mt.aio.h5._lane import in_lane

if TYPE_CHECKING:
    import os

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs.lowlevel import Durability
    from mt.aio.h5._report import Progress


@asyn
async def h5_save(
    filepath: str | os.PathLike[str],
    tree: Mapping[str, Any],
    file_mode: int | None = 0o664,
    context_vars: ContextVars = {},
    *,
    durability: Durability | None = None,
    verify: bool = False,
    progress: Progress = None,
    deflate: Deflate = "auto",
    **options: Any,
) -> None:
    """Save nested dicts as an HDF5 file, replacing what was there, whole or not at all.

    **Modes**, **Cancellation**, **On error**, **Concurrency**: as for `CreateFileH5`; folders
    are created, too.

    Args:
        filepath: local file path; a symbolic link is followed.
        tree: a dict is a group; an array, number, text, `bytes` or list of such is a dataset. An
            `H5Item` adds attributes and options to either.
        file_mode: as for `CreateFileH5`.
        context_vars: the mode, see [context_vars](../concepts/context-vars.md).
        durability: as for `CreateFileH5`.
        verify: likewise.
        progress: as for `CreateFileH5.write`, over all arrays together.
        deflate: as for `CreateFileH5.write`.
        **options: arguments of `h5py.Group.create_dataset` for all arrays, such as
            `compression="gzip"`.

    Raises:
        TypeError: a name is no `str`; HDF5 has no type for a value.
        ValueError: a name is empty or has a slash or a zero in it; a mapping is a member of
            itself; an option does not fit.
        OSError: as for `CreateFileH5`.

    Example:
        >>> import os, tempfile
        >>> from mt.aio.core import srun
        >>> from mt.aio.h5 import H5Item, h5_load, h5_save
        >>> path = os.path.join(tempfile.mkdtemp(), "x.h5")
        >>> srun(h5_save, path, {"run": {"speed": H5Item([3.5, 4.0], {"unit": "m/s"})}})
        >>> srun(h5_load, path)["run"]["speed"].tolist()
        [3.5, 4.0]
        >>> srun(h5_load, path, "run/speed", attrs=True).attrs
        {'unit': 'm/s'}
    """
    from mt.aio.h5._tree import H5Item, save_tree
    from mt.aio.h5._write import How

    plain = tree.value if isinstance(tree, H5Item) else tree
    if not isinstance(plain, Mapping):
        raise TypeError(f"tree is a mapping of names to values, not {type(plain).__name__}")
    check_deflate(deflate)
    context = CreateFileH5(filepath, file_mode, context_vars, durability=durability, verify=verify)
    path = check_path(filepath)
    async with context as f:
        await f.run(save_tree, f.handle, path, tree, How(options, deflate, progress))


@asyn
async def h5_load(
    filepath: str | os.PathLike[str],
    selection: str | Iterable[str] | Mapping[str, Any] | None = None,
    context_vars: ContextVars = {},
    *,
    attrs: bool = False,
    progress: Progress = None,
) -> Any:
    """Load an HDF5 file, or parts of it, into memory.

    **Modes.** Asynchronous: off the event loop, after the HDF5 work that was issued before.
    Synchronous: right here.

    Args:
        filepath: local file path; or, with mt-aio-remote, the URL of an object, all of which is
            brought to a temporary folder of this machine first.
        selection: None for everything; a name for that dataset or group; several names for a dict
            of these; a mapping for a dict of parts, each as `h5py` takes it between brackets:
            `{"run/speed": slice(10, 20)}`.
        context_vars: the mode, see [context_vars](../concepts/context-vars.md).
        attrs: wrap each group and dataset that has attributes in an `H5Item`; otherwise they are
            left out. They are not looked for with a mapping.
        progress: as for `CreateFileH5.write`, for each dataset anew.

    Returns:
        A group is a dict, a dataset an array or a single value as h5py gives it, but text is
        `str`.

    Raises:
        KeyError: there is nothing of that name.
        TypeError: the selection is none of these.
        IndexError: a selection is out of range.
        OSError: there is no such file, or it is no sound HDF5 file; see `OpenFileH5`.

    **Cancellation.** Looked for between pieces.
    """
    from mt.aio.h5._tree import load_tree

    job = partial(load_tree, selection=selection, progress=progress, attrs=attrs)
    path = check_path(filepath)
    if "://" in path and (remote := remote_of(path)) is not None:
        from mt.aio.h5._upload import Fetched

        return await Fetched(path, remote).used(job, context_vars)
    return await in_lane(job, absolute(path), context_vars=context_vars)
