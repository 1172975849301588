"""Writing an object whole, or not at all.

A store shows an object when all of it has arrived, and not before; so there is no temporary one,
and nothing to rename. A large object is sent in parts, which the store puts together at the end.
They are given to obstore by an iterator: if that raises, obstore has the store throw away what it
has got. (Dropping the request instead, as cancelling obstore's coroutine does, leaves the parts
in the bucket, where they are invisible and paid for. Tried with obstore 0.12.1.)
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.remote._ask import ask_here
from mt.aio.remote._place import Place, locate, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

PART = 5 * 2**20
"""The size of a part, in bytes, the least of S3; what is smaller is sent in one request."""

LARGEST_REQUEST = 5 * 2**30
"""The most that S3 takes in one request, or copies in one, in bytes; others take as much."""

_MOST_PARTS = 10_000  # of S3
_PARTS_AT_ONCE = 4  # arbitrary; so many parts are in the memory


def write(  # noqa: PLR0917 - a job's arguments have no names
    url: str,
    data: bytes | memoryview,
    file_mode: int | None = None,  # noqa: ARG001 - an object has none
    durability: str = "full",  # noqa: ARG001 - a store answers when it has the object
    make_dirs: bool = False,  # noqa: ARG001 - and there are no folders
    exclusive: bool = False,
) -> int:
    """Write an object, blocking; the arguments are those of `mt.aio.fs.lowlevel.write_file`.

    Args:
        url: where to put it.
        data: the content.
        file_mode: ignored.
        durability: ignored.
        make_dirs: ignored.
        exclusive: fail if there is an object already; the store sees to it that of several who
            try at once one wins. It is sent in one request then, of 5 GiB at most.

    Returns:
        The number of bytes written.

    Raises:
        FileExistsError: there is an object, and `exclusive` is asked for.
        FileNotFoundError: there is no such bucket.
        OSError: as for `read`; errno `EFBIG`: it is too large for one request. After a
            connection that broke, whether the object has been written is unknown; it is whole or
            not there.
        asyncio.CancelledError: between two parts, if whoever awaits this was cancelled; nothing
            has been written.
    """
    place = locate(url, write=True)
    if place.scheme == "memory":  # it keeps what it is given, and the caller may change that
        data = bytes(data)
    with memoryview(data) as view:
        size = view.nbytes
        check_cancelled()
        if exclusive:
            check_one_request(place, size)
            _put(place, data, mode="create", use_multipart=False)
        elif size <= PART:
            _put(place, data, use_multipart=False)
        else:
            part = part_size(size)
            write_pieces(place, (view[at : at + part] for at in range(0, size, part)), size)
    return size


def upload(filepath: str, url: str, exclusive: bool = False) -> int:
    """Write what a local file holds, blocking, without having all of it in the memory.

    Args:
        filepath: path to the file; it may be replaced meanwhile, but not be changed itself.
        url: where to put it.
        exclusive: as for `write`; then all of it is in the memory.

    Returns:
        The number of bytes written.

    Raises:
        OSError: as for `write`, or what the system reports of the file.
        asyncio.CancelledError: as for `write`.
    """
    place = locate(url, write=True)
    with open(filepath, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if exclusive:
            check_one_request(place, size)
        if exclusive or size <= PART or place.scheme == "memory":
            return write(url, file.read(), exclusive=exclusive)
        part = part_size(size)
        write_pieces(place, iter(lambda: file.read(part), b""), size)
    return size


def check_one_request(place: Place, size: int) -> None:
    """Refuse what no store takes in one request, before it is sent.

    Raises:
        OSError: errno `EFBIG`
    """
    if size > LARGEST_REQUEST and place.scheme != "memory":
        text = f"Has {size:,} bytes; a store takes {LARGEST_REQUEST:,} on a condition"
        raise OSError(errno.EFBIG, text, shown(place.url))


def part_size(size: int) -> int:
    """Give the size of the parts of an object, such that there are not too many."""
    return max(PART, -(-size // _MOST_PARTS))


def write_pieces(place: Place, pieces: Iterator[Any], size: int) -> None:
    """Send an object in parts, made of pieces of any sizes; all of it, or nothing is written."""
    _put(place, _checked(pieces), chunk_size=part_size(size), max_concurrency=_PARTS_AT_ONCE)


def _checked(pieces: Iterator[Any]) -> Iterator[Any]:
    """Look between the pieces whether somebody still wants them."""
    for piece in pieces:
        check_cancelled()
        yield piece
    check_cancelled()


def _put(place: Place, data: Any, **options: Any) -> None:
    import obstore

    ask_here(obstore.put, place.store, place.key, data, url=place.url, **options)
