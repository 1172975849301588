"""JSON files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import offload
from mt.aio.fs._cached import read_cached
from mt.aio.fs._path import check_path, place
from mt.aio.fs._read import read_file
from mt.aio.fs._write import write_content

if TYPE_CHECKING:
    import asyncio
    import os
    from typing import Any

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._durability import Durability


@asyn
async def json_load(
    filepath: str | os.PathLike[str],
    context_vars: ContextVars = {},
    *,
    inline: bool = False,
    **kwargs: Any,
) -> Any:
    """Load the JSON-like object of a file.

    **Modes**, **Cancellation**: as for `read_binary`; parsing is done in the same hop.

    Args:
        filepath: path to the file, in UTF-8, with or without a byte order mark
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        inline: as for `read_binary`; parsing is done on the event loop, too
        **kwargs: passed as they are to `json.loads`

    Returns:
        The object.

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        json.JSONDecodeError: if the file is not JSON; a note names the file
        UnicodeDecodeError: if it is not UTF-8; likewise
        OSError: what the system reports, such as `FileNotFoundError`
    """
    path, remote = place(check_path(filepath))
    if remote is not None:
        content = await remote.read(path, None, context_vars=context_vars)
        job = partial(_parse, content, remote.shown(path), kwargs)
        return await offload(job, context_vars=context_vars, abandon_on_cancel=True)
    if inline and (data := read_cached(path, None, context_vars)) is not None:
        return _parse(data, path, kwargs)
    return await offload(_load, path, kwargs, context_vars=context_vars, abandon_on_cancel=True)


@asyn
async def json_save(  # noqa: PLR0917 - the reference fixes them
    filepath: str | os.PathLike[str],
    obj: Any,
    file_mode: int | None = 0o664,
    context_vars: ContextVars = {},
    file_write_delayed: bool = False,
    make_dirs: bool = False,
    *,
    durability: Durability | None = None,
    exclusive: bool = False,
    **kwargs: Any,
) -> asyncio.Future[int] | int:
    """Save a JSON-like object to a file, replacing what was there, whole or not at all.

    **Modes**, **Cancellation**, **On error**, **Concurrency**: as for `write_binary`; dumping is
    done in the same hop, or before the future is returned if the write is delayed. An object that
    cannot be dumped leaves the file as it was.

    Args:
        filepath: path to the file
        obj: the JSON-like object; nobody else may change it until the call has returned
        file_mode: the file's mode. None keeps the mode of an existing file and leaves that of a
            new one to the umask
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        file_write_delayed: in asynchronous mode, return a future and write in the background.
            What the caller does to `obj` after that does not reach the file
        make_dirs: create the target's folders if they are missing
        durability: what a power cut may do, as for `write_binary`
        exclusive: fail if something is there already, as for `write_binary`
        **kwargs: passed as they are to `json.dumps`

    Returns:
        The number of bytes written, or the future of it.

    Raises:
        TypeError: if the object cannot be dumped; as for `write_binary`
        ValueError: if the object contains itself; as for `write_binary`
        IsADirectoryError: if the path leads to a folder
        FileExistsError: if something is there and `exclusive` is asked for
        OSError: what the system reports, such as `FileNotFoundError` for a missing folder
    """
    return await write_content(
        filepath,
        partial(_dump, obj, kwargs),
        file_mode,
        context_vars,
        delayed=file_write_delayed,
        make_dirs=make_dirs,
        durability=durability,
        exclusive=exclusive,
    )


def _load(filepath: str, options: dict[str, Any]) -> Any:
    return _parse(read_file(filepath), filepath, options)


def _parse(data: bytes, filepath: str, options: dict[str, Any]) -> Any:
    from mt.aio.fs._codec import load

    try:
        return load(data.decode("utf-8-sig"), options)
    except ValueError as exc:  # not JSON, or not UTF-8
        exc.add_note(f"in the file {filepath!r}")
        raise


def _dump(obj: Any, options: dict[str, Any]) -> bytes:
    from mt.aio.fs._codec import dump

    return dump(obj, options)
