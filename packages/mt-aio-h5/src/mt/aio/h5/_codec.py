"""The bytes of a chunk: HDF5's shuffle and deflate filters, done outside of HDF5.

A chunk is stored as HDF5 itself would store it: bytes of equal significance together (shuffle),
then a zlib stream (deflate). Any reader of HDF5 reads it. Which deflate library makes the stream
is free: the sizes differ a little, the values do not.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import h5py
    import numpy as np
    import numpy.typing as npt

    Bytes: TypeAlias = npt.NDArray[np.uint8]

Deflate: TypeAlias = Literal["auto", "isal", "zlib_ng", "zlib"]

_MODULES = {"isal": "isal.isal_zlib", "zlib_ng": "zlib_ng.zlib_ng", "zlib": "zlib"}

# ISA-L has levels 0 to 3. On shuffled sensor data its level 2 is no larger than zlib's level 4.
# For what zlib's levels above 6 (or 0, which stores) stand for, it has nothing to offer.
_ISAL_LEVELS = {1: 1, 2: 2, 3: 2, 4: 2, 5: 2, 6: 3}

# Chunks outside of these sizes are left to HDF5. Arbitrary: below, handing a chunk over costs as
# much as compressing it; above, two at once would take too much memory.
SMALLEST = 4096
LARGEST = 8 * 2**20


class DamagedChunkError(Exception):
    """A chunk is not what its filters say; HDF5 itself is to have its word."""


class MeasureError(Exception):
    """A chunk has not the size of one; HDF5 would not mind, and give what is in memory there."""


@cache
def _library(choice: str) -> Any:
    """Import a deflate library; `"auto"` is the fastest that is installed."""
    if choice == "auto":
        try:
            return _library("isal")
        except ModuleNotFoundError:
            return _library("zlib")
    return import_module(_MODULES[choice])


def check_deflate(choice: object) -> None:
    """Refuse an unknown deflate library, and one that is not installed.

    Raises:
        ValueError: it is unknown
        ModuleNotFoundError: it is not installed
    """
    if choice != "auto" and choice not in _MODULES:
        raise ValueError(f'deflate is "auto", "isal", "zlib_ng" or "zlib", not {choice!r}')
    try:
        _library(str(choice))
    except ModuleNotFoundError as exc:
        cure = 'pip install "mt-aio-h5[fast]"' if choice == "isal" else "pip install zlib-ng"
        text = f"deflate={choice!r} needs a package that is not installed: {cure}"
        raise ModuleNotFoundError(text, name=exc.name) from exc


class Codec(NamedTuple):
    """A dataset's filters.

    Attributes:
        width: the item size that shuffle goes by; 0 if there is no shuffle
        level: the level of deflate
        deflate: the library that compresses
    """

    width: int
    level: int
    deflate: Deflate = "auto"

    def encode(self, chunk: npt.NDArray[Any]) -> bytes:
        """Make the stored bytes of a chunk, which must be contiguous."""
        import numpy as np

        plain = chunk.reshape(-1).view(np.uint8)
        data = plain if self.width <= 1 else _shuffle(plain, self.width)
        name, level = self.deflate, self.level
        if name == "auto":
            name = "isal" if _library("auto").__name__ == _MODULES["isal"] else "zlib"
        if name == "isal":
            if level not in _ISAL_LEVELS:
                name = "zlib"
            level = _ISAL_LEVELS.get(level, level)
        packed: bytes = _library(name).compress(data, level)
        return packed

    def decode(self, data: bytes, mask: int, out: Bytes) -> None:
        """Fill `out` with the bytes of a chunk.

        Args:
            data: as they are stored
            mask: a bit for each filter that was left out when the chunk was stored
            out: flat, contiguous, of the chunk's size

        Raises:
            DamagedChunkError: they are not what the filters make
            MeasureError: there are too few or too many
        """
        import numpy as np

        if not mask >> (1 if self.width else 0) & 1:
            library = _library("auto")
            try:
                data = library.decompress(data, bufsize=out.nbytes)
            except library.error as exc:
                raise DamagedChunkError(str(exc)) from exc
        if len(data) != out.nbytes:
            raise MeasureError(f"{len(data)} bytes instead of {out.nbytes}")
        stored = np.frombuffer(data, np.uint8)
        if self.width <= 1 or mask & 1:
            out[:] = stored
            return
        # Byte by byte: assigning the transposed array in one go takes three times as long.
        items, planes = out.reshape(-1, self.width), stored.reshape(self.width, -1)
        for at in range(self.width):
            items[:, at] = planes[at]


def _shuffle(plain: Bytes, width: int) -> Bytes:
    import numpy as np

    items = plain.reshape(-1, width)
    planes = np.empty((width, len(items)), np.uint8)
    for at in range(width):
        planes[at] = items[:, at]
    return planes.reshape(-1)


def opaque(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """See records as mere bytes: numpy, copying them, leaves out what lies between the fields."""
    return array.view(f"V{array.dtype.itemsize}") if array.dtype.names else array


def filters_of(dset: h5py.Dataset) -> list[tuple[int, tuple[int, ...]]] | None:
    """Give the filters of a dataset whose chunks need not be made by HDF5, with their settings.

    Returns:
        None if they do: where HDF5 would have to convert the values or to follow them (strings of
        any length, references), and where chunks are very small or large.
    """
    from h5py import h5t

    if dset.chunks is None or dset.dtype.hasobject or dset.dtype.subdtype is not None:
        return None
    itemsize = dset.dtype.itemsize
    if not itemsize or not SMALLEST <= prod(dset.chunks) * itemsize <= LARGEST:
        return None
    if not h5t.py_create(dset.dtype, logical=1).equal(dset.id.get_type()):
        return None
    plist = dset.id.get_create_plist()
    filters = [plist.get_filter(at) for at in range(plist.get_nfilters())]
    return [(code, settings) for code, _, settings, _ in filters]


def codec_of(dset: h5py.Dataset, deflate: Deflate = "auto") -> Codec | None:
    """Give the codec of a dataset's filters; None if they are left to HDF5 itself."""
    from h5py import h5z

    filters = filters_of(dset) or []
    itemsize = dset.dtype.itemsize
    codes = [code for code, _ in filters]
    if codes == [h5z.FILTER_DEFLATE]:
        return Codec(0, filters[0][1][0], deflate)
    if codes == [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE] and filters[0][1][0] == itemsize:
        return Codec(itemsize, filters[1][1][0], deflate)
    return None
