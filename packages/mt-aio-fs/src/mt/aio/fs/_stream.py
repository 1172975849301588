"""Files that are read or written piece by piece.

The handle is aiofiles' in both modes: it runs each operation through the `run_in_executor` of
the loop it is given, and gets an object here that has just this method and offloads. So one body
works in both modes, with the very same methods, and no method is written twice.
"""

from __future__ import annotations

import errno
import io
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import is_async, offload
from mt.aio.fs._ensure import offload_surely
from mt.aio.fs._path import check_path, place

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import IO, Any

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._remote import Remote

# What is read of an object with one request, unless the caller says otherwise. Arbitrary.
_REQUEST = 2**20


@asyn
def open_file(
    filepath: str | os.PathLike[str],
    mode: str = "r",
    context_vars: ContextVars = {},
    *,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Callable[[str, int], int] | None = None,
) -> AbstractAsyncContextManager[Any]:
    """Open an asyn context manager around an open file, to read or write it piece by piece.

    Unlike the writers of whole files, it writes to the file itself: a reader sees what has been
    written so far, and an error leaves it so.

    **Modes.** Asynchronous: opening, closing and every method happen in a worker thread.
    Synchronous: right here; nothing suspends then. `open_file.sync` is for a plain `with`, whose
    handle is the file object itself: nothing of it is awaited.

    Args:
        filepath: path to the file; or URL of an object, to read only: each time the buffer is
            empty, 1 MiB of it is asked for, or as much as `buffering` says
        mode: as in `open`
        context_vars: the mode of operation, see [context_vars](../concepts/context-vars.md)
        buffering: as in `open`
        encoding: as in `open`, but None means UTF-8 in text mode
        errors: as in `open`
        newline: as in `open`
        closefd: as in `open`; only True makes sense for a path
        opener: as in `open`

    Returns:
        The context manager. Its enter-value is aiofiles' handle: the methods of a file object,
        awaitable, and `async for` over its lines. The file is closed on exit, unless it has been.

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        ValueError: on entering: what `open` says of a wrong mode
        OSError: on entering: what the system reports, such as `FileNotFoundError`. At once: a URL
            is to be written to. While reading: the object has been replaced or removed (errno
            `ESTALE`)

    **Cancellation**: the operation that a worker thread is at is finished, then the coroutine
    ends; the file is closed.

    **Concurrency**: as for a file object: one operation at a time.

        async with open_file("log.txt", context_vars=context_vars) as file:
            async for line in file:
                print(line)
    """
    path, remote = place(check_path(filepath))
    if remote is not None and set(mode) & set("wax+"):
        text = "An object is only read piece by piece; write_binary and others write it whole"
        raise OSError(errno.ENOTSUP, text, remote.shown(path))
    if encoding is None and "b" not in mode:
        encoding = "utf-8"
    options = {
        "buffering": buffering,
        "encoding": encoding,
        "errors": errors,
        "newline": newline,
        "closefd": closefd,
        "opener": opener,
    }
    return _OpenFile(path, mode, options, context_vars, remote)


class _OpenFile:
    def __init__(
        self,
        filepath: str,
        mode: str,
        options: dict[str, Any],
        context_vars: ContextVars,
        remote: Remote | None,
    ) -> None:
        self._remote = remote
        self._filepath = filepath
        self._mode = mode
        self._options = options
        self._context_vars = context_vars
        self._file: IO[Any] | None = None

    def __enter__(self) -> IO[Any]:
        if is_async(self._context_vars):
            raise TypeError("open_file in asynchronous mode is for an 'async with'")
        self._open()
        assert self._file is not None  # noqa: S101 - for the type checker
        return self._file

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    async def __aenter__(self) -> Any:
        try:
            await offload(
                self._open, context_vars=self._context_vars, network=self._remote is not None
            )
        except BaseException as exc:
            await self.__aexit__(type(exc), exc, None)  # cancelled while it was being opened
            raise
        from aiofiles.threadpool import wrap

        loop = _Offloader(self._context_vars, network=self._remote is not None)
        return wrap(self._file, loop=loop, executor=None)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if exc_type is GeneratorExit:  # the coroutine is thrown away, and cannot await any more
            file.close()
        else:
            await offload_surely(file.close, context_vars=self._context_vars)

    def _open(self) -> None:
        if self._remote is not None:
            self._file = _open_object(self._remote, self._filepath, self._mode, self._options)
            return
        self._file = open(self._filepath, self._mode, **self._options)  # noqa: SIM115 - closed on exit


class _Offloader:
    """What aiofiles sees of an event loop."""

    def __init__(self, context_vars: ContextVars, *, network: bool) -> None:
        self._context_vars = context_vars
        self._network = network

    def run_in_executor(
        self, _executor: object, func: Callable[..., Any], *args: Any
    ) -> Awaitable[Any]:
        return offload(func, *args, context_vars=self._context_vars, network=self._network)


def _open_object(remote: Remote, url: str, mode: str, options: dict[str, Any]) -> IO[Any]:
    """Open an object as `open` does a file."""
    if sorted(mode) not in (["r"], ["b", "r"], ["r", "t"]):
        raise ValueError(f"invalid mode: {mode!r}")
    texts = {name: options[name] for name in ("encoding", "errors", "newline")}
    if "b" in mode and any(value is not None for value in texts.values()):
        raise ValueError("binary mode takes no encoding, errors or newline")
    buffering = options["buffering"]
    raw = io.BufferedReader(remote.open_object(url), buffering if buffering > 1 else _REQUEST)
    return raw if "b" in mode else io.TextIOWrapper(raw, **texts)
