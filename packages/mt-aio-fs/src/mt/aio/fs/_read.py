"""Reading a file whole, or its beginning, in one hop."""

from __future__ import annotations

import codecs
import io
import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import check_cancelled, offload
from mt.aio.fs._cached import read_cached
from mt.aio.fs._check import check_size, check_text_options
from mt.aio.fs._path import check_path, place
from mt.aio.fs._special import NONBLOCK, READ_FLAGS, read_special

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars

# The first read asks for so many bytes; a file that does not know its size (/proc, a FIFO) is read
# on in such pieces. The capacity of a Linux pipe, and most files fit.
_PIECE = 2**16

# Files beyond this are left to FileIO, which grows one buffer where joining pieces would need two.
# One os.read gives at most 2 GiB; the limit is arbitrary below that.
_ONE_READ = 2**30


@asyn
async def read_binary(
    filepath: str | os.PathLike[str],
    size: int | None = None,
    context_vars: ContextVars = {},
    *,
    inline: bool = False,
) -> bytes:
    """Read a binary file, whole or its beginning.

    A file that is replaced meanwhile, as the writers of mt.aio do it, is read as one whole
    content, the old or the new.

    **Modes.** Asynchronous: everything happens in one worker thread, so that the number of files
    open at once stays small, however many reads are awaited. Synchronous: right here.

    Args:
        filepath: path to the file
        size: the number of bytes to read from the beginning. None or a negative number: all of it
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        inline: in asynchronous mode, read a file of less than 64 KiB on the event loop itself if
            Linux has it in memory; else in a worker thread, as without. For local disks only:
            finding and opening a file of a network mount may wait, and the event loop with it.
            Nothing is suspended then, so a long row of such reads lets no other task run

    Returns:
        The content. Shorter than `size` if the file is.

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one, or the size no int
        IsADirectoryError: if the path leads to a folder
        OSError: what the system reports, such as `FileNotFoundError`

    **Cancellation**: ends the wait at once; what is read after that is dropped.
    """
    path, remote = place(check_path(filepath))
    size = check_size(size)
    if remote is not None:
        return await remote.read(path, size, context_vars=context_vars)
    if inline and (data := read_cached(path, size, context_vars)) is not None:
        return data
    return await offload(read_file, path, size, context_vars=context_vars, abandon_on_cancel=True)


@asyn
async def read_text(
    filepath: str | os.PathLike[str],
    size: int | None = None,
    context_vars: ContextVars = {},
    *,
    encoding: str = "utf-8",
    errors: str = "strict",
    newline: str | None = None,
    inline: bool = False,
) -> str:
    """Read a text file, whole or its beginning.

    **Modes**, **Cancellation**: as for `read_binary`; decoding is done in the same hop.

    Args:
        filepath: path to the file
        size: the number of bytes (not characters) to read from the beginning. A character that is
            cut by it is left out. None or a negative number: all of it
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        encoding: the text's encoding
        errors: what to do with bytes that are no text, as in `open`
        newline: as in `open`: None turns every line ending into a line feed, else none is touched
        inline: as for `read_binary`; decoding is done on the event loop, too

    Returns:
        The text.

    Raises:
        TypeError: for arguments of a wrong type, as in `read_binary`
        LookupError: for an unknown encoding or error handler
        ValueError: for an unknown newline
        UnicodeDecodeError: if the file is not in this encoding; a note names the file
        IsADirectoryError: if the path leads to a folder
        OSError: what the system reports, such as `FileNotFoundError`
    """
    path, remote = place(check_path(filepath))
    size = check_size(size)
    check_text_options(encoding, errors, newline)
    options = (encoding, errors, newline)
    most = None if size is None else size + 1  # tells whether the size really cuts something off
    if remote is not None:
        content = await remote.read(path, most, context_vars=context_vars)
        job = partial(_to_text, content, remote.shown(path), size, options)
        return await offload(job, context_vars=context_vars, abandon_on_cancel=True)
    if inline and (data := read_cached(path, most, context_vars)) is not None:
        return _to_text(data, path, size, options)
    return await offload(
        _read_text, path, size, options, context_vars=context_vars, abandon_on_cancel=True
    )


def read_file(filepath: str, size: int | None = None) -> bytes:
    """Read a file, blocking.

    Right for files whose size is not what `stat` says: devices, FIFOs, /proc, and files that grow
    or shrink meanwhile.

    Args:
        filepath: path to the file
        size: the most bytes to read; None for no limit

    Returns:
        The content.

    Raises:
        IsADirectoryError: if the path leads to a folder
        OSError: what the system reports
        asyncio.CancelledError: between two pieces of a file that needs several, or while nothing is
            written into a FIFO, if whoever awaits this was cancelled
    """
    try:
        fd = os.open(filepath, READ_FLAGS)
    except BlockingIOError:
        fd = os.open(filepath, READ_FLAGS & ~NONBLOCK)
    data = more = b""
    try:
        try:
            data = os.read(fd, _PIECE if size is None else min(size, _PIECE))
            # Whether that is all, an empty read tells, for less than `stat` would take.
            if len(data) == size or (0 < len(data) < _PIECE and not (more := os.read(fd, 1))):
                return data
        except BlockingIOError:  # nothing is there yet
            pass
        return _read_on(fd, data + more, size)
    except IsADirectoryError as exc:
        exc.filename = filepath
        raise
    finally:
        os.close(fd)


def _read_on(fd: int, data: bytes, size: int | None) -> bytes:
    """Read to the end, which is an empty piece, after a first one."""
    status = os.fstat(fd)
    if not (stat.S_ISREG(status.st_mode) and status.st_size):
        return read_special(fd, data, size)  # also files of /proc, which may have to be waited for
    if NONBLOCK:
        os.set_blocking(fd, True)  # a file that is archived may first have to be fetched
    if status.st_size > len(data):
        # All in one piece, from the beginning: joining a large one with the first would copy it.
        os.lseek(fd, 0, os.SEEK_SET)
        data = b""
    if size is None and status.st_size >= _ONE_READ:
        with io.FileIO(fd, closefd=False) as file:
            return data + file.readall()
    pieces, total = [data] if data else [], len(data)
    while size is None or total < size:
        check_cancelled()
        want = max(status.st_size - total, 0) + _PIECE
        piece = os.read(fd, want if size is None else min(want, size - total))
        if not piece:
            break
        pieces.append(piece)
        total += len(piece)
    return b"".join(pieces)


def _read_text(filepath: str, size: int | None, options: tuple[str, str, str | None]) -> str:
    return _to_text(
        read_file(filepath, None if size is None else size + 1), filepath, size, options
    )


def _to_text(
    data: bytes, filepath: str, size: int | None, options: tuple[str, str, str | None]
) -> str:
    cut = size is not None and len(data) > size
    try:
        return decode(data[:size] if cut else data, *options, final=not cut)
    except UnicodeDecodeError as exc:
        exc.add_note(f"in the file {filepath!r}; encoding= and errors= choose another reading")
        raise


def decode(
    data: bytes, encoding: str, errors: str, newline: str | None, *, final: bool = True
) -> str:
    """Make a text of bytes, as `open` would; not final: leave out an incomplete character."""
    text = codecs.getincrementaldecoder(encoding)(errors).decode(data, final)
    if newline is None and "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text
