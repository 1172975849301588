"""Files of numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import offload
from mt.aio.fs._path import check_path, place
from mt.aio.fs._write import write_content

if TYPE_CHECKING:
    import asyncio
    import os
    from types import ModuleType
    from typing import Any, BinaryIO

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._durability import Durability


@asyn
async def npz_load(
    filepath: str | os.PathLike[str], context_vars: ContextVars = {}, **kwargs: Any
) -> dict[str, Any]:
    """Load all arrays of an `.npz` file.

    **Modes**, **Cancellation**: as for `read_binary`; decompressing is done in the same hop.

    Args:
        filepath: path to the file, made by `npz_save`, `numpy.savez` or `numpy.savez_compressed`
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        **kwargs: passed as they are to `numpy.load`

    Returns:
        The arrays by name, all in memory; the file is closed.

    Raises:
        ModuleNotFoundError: if numpy is not installed
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        ValueError: if the file holds something else, or pickled objects without
            `allow_pickle=True`
        OSError: what the system reports, such as `FileNotFoundError`
    """
    path, remote = place(check_path(filepath))
    if remote is not None:
        data = await remote.read(path, None, context_vars=context_vars)
        job = partial(_parse, BytesIO(data), remote.shown(path), kwargs)
        return await offload(job, context_vars=context_vars, abandon_on_cancel=True)
    return await offload(_load, path, kwargs, context_vars=context_vars, abandon_on_cancel=True)


@asyn
async def npz_save(  # noqa: PLR0917 - positional as in json_save
    filepath: str | os.PathLike[str],
    obj: Mapping[str, Any],
    file_mode: int | None = 0o664,
    context_vars: ContextVars = {},
    file_write_delayed: bool = False,
    make_dirs: bool = False,
    *,
    durability: Durability | None = None,
    exclusive: bool = False,
) -> asyncio.Future[int] | int:
    """Save arrays to a compressed `.npz` file, replacing what was there, whole or not at all.

    The file is what `numpy.savez_compressed` makes, but every name is allowed, `"file"` too.

    **Modes**, **Cancellation**, **On error**, **Concurrency**: as for `write_binary`; compressing
    is done in the same hop, or before the future is returned if the write is delayed.

    Args:
        filepath: path to the file; no extension is added
        obj: the arrays (or what numpy makes arrays of) by name
        file_mode: the file's mode. None keeps the mode of an existing file and leaves that of a
            new one to the umask
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        file_write_delayed: in asynchronous mode, return a future and write in the background.
            What the caller does to the arrays after that does not reach the file
        make_dirs: create the target's folders if they are missing
        durability: what a power cut may do, as for `write_binary`
        exclusive: fail if something is there already, as for `write_binary`

    Returns:
        The number of bytes written, or the future of it.

    Raises:
        ModuleNotFoundError: if numpy is not installed
        TypeError: if `obj` is no mapping of names; as for `write_binary`
        ValueError: as for `write_binary`
        IsADirectoryError: if the path leads to a folder
        FileExistsError: if something is there and `exclusive` is asked for
        OSError: what the system reports, such as `FileNotFoundError` for a missing folder
    """
    _check_mapping(obj)
    return await write_content(
        filepath,
        partial(_dump, obj),
        file_mode,
        context_vars,
        delayed=file_write_delayed,
        make_dirs=make_dirs,
        durability=durability,
        exclusive=exclusive,
    )


def _check_mapping(obj: object) -> None:
    if not isinstance(obj, Mapping) or not all(isinstance(name, str) for name in obj):
        raise TypeError("npz_save takes a mapping of names to arrays, such as {'x': array}")


def _numpy() -> ModuleType:
    try:
        import numpy as np
    except ModuleNotFoundError as exc:
        if exc.name != "numpy":
            raise  # numpy is there, something it needs is not
        text = 'npz files need numpy: pip install "mt-aio-fs[npz]"'
        raise ModuleNotFoundError(text, name="numpy") from exc
    return np


def _load(filepath: str, options: dict[str, Any]) -> dict[str, Any]:
    _numpy()  # that it is missing comes before whatever is wrong with the file
    with open(filepath, "rb") as file:
        return _parse(file, filepath, options)


def _parse(file: BinaryIO, filepath: str, options: dict[str, Any]) -> dict[str, Any]:
    np = _numpy()
    content = np.load(file, **options)
    if not isinstance(content, np.lib.npyio.NpzFile):
        text = f"{filepath!r} is no .npz file: it holds one nameless array or object"
        raise ValueError(text)  # noqa: TRY004 - the file is wrong, not an argument's type
    with content:
        return {name: content[name] for name in content.files}


def _dump(obj: Mapping[str, Any]) -> bytes:
    import io
    import zipfile

    np = _numpy()
    file = io.BytesIO()
    # Not numpy.savez_compressed, whose own parameters ("file") would forbid names of arrays.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in obj.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(value))
    return file.getvalue()
