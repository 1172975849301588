"""An object as a file to read, piece by piece."""

from __future__ import annotations

import errno
import io
from typing import Any

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.remote._ask import ask_here
from mt.aio.remote._place import locate, shown
from mt.aio.remote._version import read_version


def open_object(url: str) -> io.RawIOBase:
    """Open an object for reading at any position, blocking.

    Each reading is a request for a range, on condition that the object is still the same one.
    From a server that knows no ranges, or tells no entity tag, it is read whole at once.

    Args:
        url: where it is.

    Returns:
        An unbuffered file. What is read of it is of one version, or an `OSError` with errno
        `ESTALE` says that the object has been replaced or removed meanwhile.

    Raises:
        OSError: as for `read`.
    """
    import obstore

    place = locate(url)
    meta = ask_here(obstore.head, place.store, place.key, url=url)
    tag = meta.get("e_tag")
    if not tag or tag.startswith("W/"):  # a weak one is of no use as a condition
        return _Whole(read_version(url)[0], url)
    return _Object(url, meta["size"], tag)


class _Whole(io.RawIOBase):
    """A content in the memory."""

    def __init__(self, data: bytes, url: str) -> None:
        self.name = shown(url)
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)


class _Object(io.RawIOBase):
    """An object of a store."""

    def __init__(self, url: str, size: int, tag: str) -> None:
        self.name = shown(url)
        self._url = url
        self._place = locate(url)
        self._size = size
        self._tag = tag
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "Before the beginning", self.name)
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer).cast("B") as view:
            data = self._range(view.nbytes)
            view[: len(data)] = data
            return len(data)

    def readall(self) -> bytes:
        return bytes(self._range(max(self._size - self._position, 0)))

    def _range(self, most: int) -> Any:
        import obstore

        end = min(self._position + most, self._size)
        if end <= self._position:
            return b""
        check_cancelled()
        options: Any = {"range": (self._position, end), "if_match": self._tag}
        try:
            got = ask_here(
                obstore.get, self._place.store, self._place.key, url=self._url, options=options
            )
            data = ask_here(got.bytes, url=self._url)
        except (FileExistsError, FileNotFoundError):  # the condition does not hold
            text = "Was replaced or removed while it was being read"
            raise OSError(errno.ESTALE, text, self.name) from None
        except OSError as exc:
            if exc.errno != errno.ENOTSUP:
                raise
            whole, version = read_version(self._url)
            if version.get("e_tag") != self._tag:
                raise OSError(errno.ESTALE, "Was replaced meanwhile", self.name) from None
            data = memoryview(whole)[self._position : end]
        self._position += len(data)
        return data
