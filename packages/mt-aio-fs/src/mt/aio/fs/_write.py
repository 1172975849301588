"""Writing a file whole, in one hop, now or later.

All writers come through `write_content`: it checks the arguments, decides between now and later,
and hands one plain function to a worker thread. Writes to one path carry the same order key, so
they are published in the order in which they were issued.
"""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from mt.aio.core import asyn
from mt.aio.core.lowlevel import is_async, later, offload, submit
from mt.aio.fs._atomic import Replacement, Target, resolve_target, write_all
from mt.aio.fs._check import check_file_mode, check_text_options
from mt.aio.fs._durability import durability_of
from mt.aio.fs._folder import is_crowded, make_folders
from mt.aio.fs._path import check_path, located
from mt.aio.fs._special import write_special

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._durability import Durability
    from mt.aio.fs._folder import FolderFlush

    Flat: TypeAlias = bytes | memoryview
    Writer: TypeAlias = Callable[..., int]


@asyn
async def write_binary(  # noqa: PLR0917 - the reference fixes them
    filepath: str | os.PathLike[str],
    buf: Any,
    file_mode: int | None = 0o664,
    context_vars: ContextVars = {},
    file_write_delayed: bool = False,
    make_dirs: bool = False,
    *,
    durability: Durability | None = None,
    exclusive: bool = False,
) -> asyncio.Future[int] | int:
    """Write a binary file, replacing what was there, whole or not at all.

    The content goes to a temporary file beside the target, with the extension `.mttmp` and
    readable by nobody else, which is then renamed. A symbolic link is followed; a device or FIFO
    is written into and neither replaced nor given a mode.

    **Modes.** Asynchronous: everything happens in one worker thread. Synchronous: right here.

    Args:
        filepath: path to the file
        buf: the bytes: any object with the buffer protocol, such as `bytes`, `bytearray`,
            `array.array` or a numpy array, whose bytes are taken in C order
        file_mode: the file's mode. None keeps the mode of an existing file and leaves that of a
            new one to the umask
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        file_write_delayed: in asynchronous mode, return a future at once and write in the
            background. What the caller does to `buf` after that does not reach the file; the
            future may be dropped. Ignored in synchronous mode
        make_dirs: create the target's folders if they are missing
        durability: what a power cut may do. `"none"`: anything to a file written shortly before;
            `"atomic"`: leave the old or the new content; `"full"`: nothing, once the call has
            returned. None: as `context_vars["durability"]` says, else `"atomic"`
        exclusive: fail if something is there already, be it a symbolic link that leads nowhere;
            of several exclusive writers at once, one wins

    Returns:
        The number of bytes written, or the future of it.

    Raises:
        TypeError: for a path that is neither a `str` nor an `os.PathLike` of one, a `str` as
            content, content that is no buffer, a file mode that is no int
        ValueError: for an unknown durability, a file mode out of range
        IsADirectoryError: if the path leads to a folder
        FileExistsError: if something is there and `exclusive` is asked for
        OSError: what the system reports, such as `FileNotFoundError` for a missing folder

    **Cancellation**: a write that has not been published is abandoned and its temporary file
    removed; one that has been is complete. The coroutine ends when the worker thread has, so
    nothing changes afterwards. Cancelling a future of a delayed write does the same later.

    **On error**: the target is as it was and no temporary file is left. Only the last step of
    `"full"`, flushing the folder, can fail with the new content in place.

    **Concurrency**: any number of tasks, threads and processes may write one path; it always
    holds the whole content of one of them. Writes of one process to one path are published in the
    order in which they were issued.
    """
    check_buffer(buf)
    return await write_content(
        filepath,
        buf if isinstance(buf, bytes) else partial(flatten, buf),
        file_mode,
        context_vars,
        delayed=file_write_delayed,
        make_dirs=make_dirs,
        durability=durability,
        exclusive=exclusive,
    )


@asyn
async def write_text(  # noqa: PLR0917 - the reference fixes them
    filepath: str | os.PathLike[str],
    buf: str,
    file_mode: int | None = 0o664,
    context_vars: ContextVars = {},
    file_write_delayed: bool = False,
    make_dirs: bool = False,
    *,
    durability: Durability | None = None,
    exclusive: bool = False,
    encoding: str = "utf-8",
    errors: str = "strict",
    newline: str | None = None,
) -> asyncio.Future[int] | int:
    r"""Write a text file, replacing what was there, whole or not at all.

    **Modes**, **Cancellation**, **On error**, **Concurrency**: as for `write_binary`; encoding is
    done in the same hop, or before the future is returned if the write is delayed.

    Args:
        filepath: path to the file
        buf: the text
        file_mode: the file's mode. None keeps the mode of an existing file and leaves that of a
            new one to the umask
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        file_write_delayed: in asynchronous mode, return a future and write in the background
        make_dirs: create the target's folders if they are missing
        durability: what a power cut may do, as for `write_binary`
        exclusive: fail if something is there already, as for `write_binary`
        encoding: the text's encoding
        errors: what to do with characters that the encoding lacks, as in `open`
        newline: as in `open`: what a line feed becomes; None is the system's line ending, `""`
            and `"\n"` leave it

    Returns:
        The number of bytes (not characters) written, or the future of it.

    Raises:
        TypeError: as for `write_binary`, and for content that is no `str`
        LookupError: for an unknown encoding or error handler
        ValueError: for an unknown newline or durability, a file mode out of range
        UnicodeEncodeError: for a character that the encoding lacks
        IsADirectoryError: if the path leads to a folder
        FileExistsError: if something is there and `exclusive` is asked for
        OSError: what the system reports, such as `FileNotFoundError` for a missing folder
    """
    if not isinstance(buf, str):
        raise TypeError(f"write_text takes a str, not {type(buf).__name__}: see write_binary")
    check_text_options(encoding, errors, newline)
    return await write_content(
        filepath,
        partial(encode, buf, encoding, errors, newline),
        file_mode,
        context_vars,
        delayed=file_write_delayed,
        make_dirs=make_dirs,
        durability=durability,
        exclusive=exclusive,
    )


async def write_content(
    filepath: str | os.PathLike[str],
    content: bytes | Callable[[], Flat],
    file_mode: int | None,
    context_vars: ContextVars,
    *,
    delayed: bool,
    make_dirs: bool,
    durability: Durability | None,
    exclusive: bool = False,
) -> asyncio.Future[int] | int:
    """Write bytes, or what a function makes of the caller's object, to a file.

    The function runs in the hop that writes; before the future is returned if the write is
    delayed, as the caller may change the object after that.
    """
    path, key, remote = located(check_path(filepath))
    check_file_mode(file_mode)
    options = (file_mode, durability_of(context_vars, durability), make_dirs, exclusive)
    write: Writer = _write if remote is None else partial(_put, remote.write)
    network = remote is not None
    if delayed and is_async(context_vars):
        if not isinstance(content, bytes):
            content = await offload(
                _snapshot, content, context_vars=context_vars, order=("serialise", key)
            )
        return submit(write, path, content, *options, order=key, network=network)
    return await offload(
        write, path, content, *options, context_vars=context_vars, order=key, network=network
    )


def write_file(  # noqa: PLR0917 - a job's arguments have no names
    filepath: str,
    data: Flat,
    file_mode: int | None = 0o664,
    durability: Durability = "atomic",
    make_dirs: bool = False,
    exclusive: bool = False,
) -> int:
    """Write a file, blocking; `write_binary` tells how.

    Args:
        filepath: path to the file
        data: the bytes; a memoryview must be one-dimensional, of single bytes
        file_mode: the file's mode; None keeps an existing file's, else leaves it to the umask
        durability: what a power cut may do
        make_dirs: create the target's folders if they are missing
        exclusive: fail if something is there already

    Returns:
        The number of bytes written.

    Raises:
        IsADirectoryError: if the path leads to a folder
        FileExistsError: if something is there and `exclusive` is asked for
        OSError: what the system reports
        asyncio.CancelledError: between pieces of a large content and before the renaming, if
            whoever awaits this was cancelled
    """
    written, change = _publish(filepath, data, file_mode, durability, make_dirs, exclusive)
    return written if change is None else _flush(change, written)


def check_buffer(buf: Any) -> None:
    """Refuse content that has no bytes."""
    if isinstance(buf, bytes):
        return
    if isinstance(buf, str):
        raise TypeError("write_binary takes bytes, not a str: see write_text")
    text = f"write_binary takes bytes or another buffer, not this {type(buf).__name__}: convert it"
    try:
        view = memoryview(buf)
    except (TypeError, ValueError) as exc:  # numpy says ValueError of types it cannot export
        raise TypeError(text) from exc
    with view:
        # In a record's format the fields' names stand between colons.
        if "O" in "".join(view.format.split(":")[::2]):
            raise TypeError(f"{text} (it holds Python objects, whose bytes are mere addresses)")


def flatten(buf: Any) -> Flat:
    """Give a buffer's bytes in C order, without a copy where that is possible."""
    view = memoryview(buf)
    try:
        return view.cast("B")
    except TypeError:
        # Not in C order, empty in some dimension, or of a format that memoryview cannot cast: a
        # record, a foreign byte order.
        return view.tobytes()


def encode(text: str, encoding: str, errors: str, newline: str | None) -> bytes:
    """Make bytes of a text, as `open` would."""
    ending = os.linesep if newline is None else newline or "\n"
    if ending != "\n":
        text = text.replace("\n", ending)
    return text.encode(encoding, errors)


def _write(
    filepath: str, content: bytes | Callable[[], Flat], *options: *tuple[Any, Any, Any, Any]
) -> int:
    """Write a file, as a job: one flush of the folder is for all writes that wait now."""
    if isinstance(content, bytes):
        written, change = _publish(filepath, content, *options)
    else:
        data = content()
        # An error's traceback would keep a view, and a `bytearray` cannot be resized meanwhile.
        with data if isinstance(data, memoryview) else nullcontext():
            written, change = _publish(filepath, data, *options)
    if change is None:
        return written
    flush = partial(_flush, change, written)
    return flush() if is_crowded() else later(flush)


def _put(
    write: Callable[..., int], url: str, content: bytes | Callable[[], Flat], *options: Any
) -> int:
    """Write an object of a store, as a job."""
    return write(url, content if isinstance(content, bytes) else content(), *options)


def _publish(  # noqa: PLR0917 - a job's arguments have no names
    filepath: str,
    data: Flat,
    file_mode: int | None,
    durability: Durability,
    make_dirs: bool,
    exclusive: bool,
) -> tuple[int, FolderFlush | None]:
    """Write a file; give its size, and the change of its folder if that is to be flushed."""
    if exclusive and os.path.lexists(filepath):  # found before anything is written
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), filepath)
    target = resolve_target(filepath)
    if exclusive:  # what has appeared since is found by `publish`; a link is not followed
        target = Target(filepath, None)
    if target.is_special:
        return write_special(target, data), None
    if make_dirs and target.status is None:
        make_folders(os.path.dirname(target.filepath), durability)
    with Replacement(target, file_mode) as new:
        written = write_all(new.fileno(), data)
        return written, new.publish_for_now(durability, exclusive=exclusive)


def _flush(change: FolderFlush, written: int) -> int:
    with change:
        change.flush()
    return written


def _snapshot(content: Callable[[], Flat]) -> bytes:
    return bytes(content())
