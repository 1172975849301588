"""Copying objects: within a store by the store itself, else through this machine."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.remote._ask import ask_here
from mt.aio.remote._place import Place, locate, shown
from mt.aio.remote._version import Version, version_of
from mt.aio.remote._write import (
    LARGEST_REQUEST,
    PART,
    check_one_request,
    write,
    write_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE = 2**20  # arbitrary: so much is received before somebody looks whether it is still wanted
_AHEAD = 8  # arbitrary: so many pieces are received before they can be sent
_MOMENT = 0.01


def copy(url: str, new_url: str, exclusive: bool = False) -> int:
    """Copy an object to another name or another store, blocking, whole or not at all.

    Args:
        url: where it is.
        new_url: where to put the copy.
        exclusive: fail if there is an object already.

    Returns:
        The number of bytes, which was looked up just before if the store itself makes the copy.

    Raises:
        FileNotFoundError: there is no such object, or no bucket for the copy.
        FileExistsError: there is an object, and `exclusive` is asked for.
        OSError: both are the same; as for `read` and `write`.
        asyncio.CancelledError: between two pieces, or before the store is asked; nothing has
            been written then.
    """
    import obstore

    old, new = locate(url), locate(new_url, write=True)
    if old.store is not new.store:
        return _send(old, new, exclusive)
    if old.key == new.key:
        raise OSError(errno.EINVAL, "Is the original itself", shown(new_url))
    size: int = ask_here(obstore.head, old.store, old.key, url=url)["size"]
    check_cancelled()
    if size > LARGEST_REQUEST:
        return _send(old, new, exclusive)
    try:
        ask_here(obstore.copy, old.store, old.key, new.key, url=url, overwrite=not exclusive)
    except FileExistsError as exc:
        exc.filename = shown(new_url)
        raise
    except OSError as exc:
        if not exclusive or exc.errno != errno.ENOTSUP:
            raise
        return _send(old, new, exclusive)  # S3 knows no condition for this
    return size


def download(url: str, sink: Callable[[memoryview], object]) -> Version:
    """Read an object piece by piece, blocking, as it was at one instant.

    Args:
        url: where it is.
        sink: is called with each piece, which is not to be kept.

    Returns:
        The version that was read, for `replace`.

    Raises:
        OSError: as for `read`. The sink has had a part then.
        asyncio.CancelledError: between two pieces, if whoever awaits this was cancelled.
    """
    got = _get(locate(url))
    for piece in _pieces(got, url):
        check_cancelled()
        sink(piece)
    return version_of(got.meta)


def _send(old: Place, new: Place, exclusive: bool) -> int:
    """Copy through this machine: one request for the old, one or several for the new."""
    got = _get(old)
    size: int = got.meta["size"]
    if exclusive:
        check_one_request(new, size)  # before it is received
    if exclusive or size <= PART or new.scheme == "memory":
        data = ask_here(got.bytes, url=old.url)
        return write(new.url, memoryview(data), exclusive=exclusive)
    with _received_beside(_pieces(got, old.url)) as pieces:
        write_pieces(new, pieces, size)
    return size


def _get(place: Place) -> Any:
    import obstore

    check_cancelled()
    return ask_here(obstore.get, place.store, place.key, url=place.url)


def _pieces(got: Any, url: str) -> Iterator[memoryview]:
    left: int = got.meta["size"]
    pieces = iter(got.stream(min_chunk_size=_PIECE))
    while (piece := ask_here(next, pieces, None, url=url)) is not None:
        left -= len(piece)
        yield memoryview(piece)
    if left > 0:  # what breaks early is never taken for the whole
        raise OSError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED), shown(url))


@contextmanager
def _received_beside(pieces: Iterator[memoryview]) -> Iterator[Iterator[memoryview]]:
    """Have another thread receive what this one sends.

    While obstore takes pieces from an iterator it cannot do anything else in that thread.
    """
    from threading import Event, Thread

    received: Queue[memoryview | BaseException | None] = Queue(_AHEAD)
    enough = Event()

    def receive() -> None:
        end = None
        try:
            for piece in pieces:
                received.put(piece)
                if enough.is_set():
                    break
        except BaseException as exc:  # noqa: BLE001 - it belongs to whoever takes the pieces
            end = exc
        received.put(end)

    def taken() -> Iterator[memoryview]:
        while (piece := received.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    thread = Thread(target=receive, name="mt-aio-receive", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        enough.set()
        while thread.is_alive():
            with suppress(Empty):
                received.get(timeout=_MOMENT)
        thread.join()
