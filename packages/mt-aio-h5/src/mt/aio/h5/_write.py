"""Writing a dataset: plain blocking code that may be told to give up between two pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from mt.aio.h5._codec import codec_of, filters_of, opaque
from mt.aio.h5._crew import batches, mapped
from mt.aio.h5._explain import check_open, explained
from mt.aio.h5._grid import Box, Origin, blocks, origins
from mt.aio.h5._report import Report

if TYPE_CHECKING:
    import h5py
    import numpy as np
    import numpy.typing as npt

    from mt.aio.h5._codec import Codec, Deflate
    from mt.aio.h5._report import Progress

    Array = npt.NDArray[Any]

# Between pieces of this size it is looked whether the caller has been cancelled, and h5py's lock
# is free. Arbitrary: some milliseconds of plain writing, or tens of compressing.
PLAIN_PIECE = 32 * 2**20
FILTERED_PIECE = 2**20

_PLAIN_KINDS = "biufcSV"


class How(NamedTuple):
    """How a dataset is to be written.

    Attributes:
        options: further arguments of `create_dataset`
        deflate: the library that compresses
        progress: who is told of each piece
        attrs: attributes of the dataset
    """

    options: Mapping[str, Any]
    deflate: Deflate
    progress: Progress
    attrs: Mapping[str, Any] = {}


def write_dataset(file: h5py.File, path: str, name: str, data: Any, how: How) -> None:
    """Create a dataset, as `h5py.Group.create_dataset` does, whole or not at all.

    Args:
        file: the open file
        path: what to call it in errors
        name: the dataset's; groups that are missing on the way are created
        data: whatever `create_dataset` takes
        how: the rest
    """
    check_open(file, path)
    options = how.options
    with _removed_on_error(file, path, name):
        array = _plain_array(data, options)
        if array is None:
            with explained(path, name):
                dset = file.create_dataset(name, data=data, **options)
            report = Report(how.progress, dset.nbytes if dset.shape is not None else 0)
            _flush(dset, path)
        else:
            rest = {key: value for key, value in options.items() if key not in {"shape", "dtype"}}
            dtype = options.get("dtype") or array.dtype
            with explained(path, name):
                dset = file.create_dataset(name, array.shape, dtype, **rest)
            report = Report(how.progress, dset.nbytes)
            _fill(dset, array, how.deflate, report, path)
        with explained(path, name):
            for key, value in how.attrs.items():
                dset.attrs[key] = value
        report.finish()


@contextmanager
def _removed_on_error(file: h5py.File, path: str, name: str) -> Iterator[None]:
    """Take a new dataset away again if it could not be completed."""
    with explained(path, name):
        existed = name in file
    try:
        yield
    except BaseException:
        if not existed:
            with suppress(Exception):  # the error that brought us here is the one to report
                del file[name]
        raise


def _plain_array(data: Any, options: Mapping[str, Any]) -> Array | None:
    """Give the array to be written piece by piece; None if h5py is to find out what it is."""
    import numpy as np

    if not isinstance(data, np.ndarray) or data.dtype.kind not in _PLAIN_KINDS:
        return None
    if data.dtype.hasobject or not data.nbytes or not _keeps_rounding(data, options.get("dtype")):
        return None
    shape = options.get("shape")
    if shape is None:
        shape = data.shape
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if not shape or prod(shape) != data.size:
        return None
    return np.asarray(data).reshape(shape)


def _keeps_rounding(data: Array, dtype: Any) -> bool:
    """Tell whether values given piece by piece are converted as h5py converts a whole array."""
    import numpy as np

    if dtype is None:
        return True
    try:
        dtype = np.dtype(dtype)
    except TypeError:  # a type of HDF5's
        return False
    if dtype.hasobject or dtype.subdtype is not None:
        return False
    # h5py converts to half precision by numpy, which rounds otherwise than HDF5.
    half = dtype.kind == "f" and dtype.itemsize == np.dtype("f2").itemsize
    return not half or data.dtype == dtype


def _fill(dset: h5py.Dataset, array: Array, deflate: Deflate, report: Report, path: str) -> None:
    """Write all values."""
    from h5py import h5t

    with explained(path, dset.name):
        as_is = h5t.py_create(array.dtype, logical=1).equal(dset.id.get_type())
        filters, codec = filters_of(dset), codec_of(dset, deflate)
    if codec and as_is:
        _write_chunks(dset, array, codec, report, path)
    elif filters == [] and as_is:
        _store_chunks(dset, array, report, path)
    else:
        _write_blocks(dset, array, report, path)


def _store_chunks(dset: h5py.Dataset, array: Array, report: Report, path: str) -> None:
    """Hand HDF5 chunks that need no filter, which spares its own way of cutting them out."""
    import numpy as np

    chunks, fill = dset.chunks, opaque(np.asarray(dset.fillvalue, array.dtype))
    plain = opaque(array)
    for batch in batches(origins(array.shape, chunks), prod(chunks) * array.dtype.itemsize):
        with explained(path, dset.name):
            for origin in batch:
                dset.id.write_direct_chunk(origin, _chunk_at(plain, origin, chunks, fill))
        count = sum(_count_at(origin, dset.shape, chunks) for origin in batch)
        report.advance(count * array.dtype.itemsize)


def _write_chunks(
    dset: h5py.Dataset, array: Array, codec: Codec, report: Report, path: str
) -> None:
    """Compress in threads, and hand HDF5 chunks that are ready to be stored."""
    import numpy as np

    chunks = dset.chunks
    size = prod(chunks) * array.dtype.itemsize
    array, fill = opaque(array), opaque(np.asarray(dset.fillvalue, array.dtype))

    def encode(batch: list[Origin]) -> list[tuple[Origin, bytes]]:
        return [(at, codec.encode(_chunk_at(array, at, chunks, fill))) for at in batch]

    # A chunk on its way is copied, shuffled, compressed, and put together from what came of that.
    with mapped(encode, batches(origins(array.shape, chunks), size), 4 * size) as results:
        for batch in results:
            with explained(path, dset.name):
                for origin, packed in batch:
                    dset.id.write_direct_chunk(origin, packed)
            count = sum(_count_at(origin, dset.shape, chunks) for origin, _ in batch)
            report.advance(count * array.dtype.itemsize)


def _count_at(origin: Origin, shape: tuple[int, ...], chunks: tuple[int, ...]) -> int:
    """Count the values of an array that lie in a chunk."""
    sizes = zip(origin, shape, chunks, strict=True)
    return prod(min(chunk, size - at) for at, size, chunk in sizes)


def _chunk_at(array: Array, origin: Origin, chunks: tuple[int, ...], fill: Any) -> Array:
    """Cut out a chunk; beyond the array's end there are fill values, should it grow one day."""
    import numpy as np

    part = array[tuple(slice(at, at + n) for at, n in zip(origin, chunks, strict=True))]
    if part.shape == chunks:
        return np.ascontiguousarray(part)
    whole = np.full(chunks, fill, array.dtype)
    whole[tuple(slice(n) for n in part.shape)] = part
    return whole


def _write_blocks(dset: h5py.Dataset, array: Array, report: Report, path: str) -> None:
    """Let HDF5 convert, filter and store, a piece at a time."""
    target = PLAIN_PIECE if dset.id.get_create_plist().get_nfilters() == 0 else FILTERED_PIECE
    grain = dset.chunks or (1,) * array.ndim
    for box in blocks(array.shape, grain, array.dtype.itemsize, target):
        with explained(path, dset.name):
            _write_block(dset, box, array[box])
        report.advance(prod(part.stop - part.start for part in box) * dset.dtype.itemsize)
    _flush(dset, path)


def _flush(dset: h5py.Dataset, path: str) -> None:
    """Let HDF5 write what it holds back, while an error has somebody to hear of it."""
    with explained(path, dset.name):
        dset.flush()


def _write_block(dset: h5py.Dataset, box: Box, block: np.ndarray[Any, Any]) -> None:
    import numpy as np
    from h5py import h5s

    space = dset.id.get_space()
    space.select_hyperslab(tuple(part.start for part in box), block.shape)
    dset.id.write(h5s.create_simple(block.shape), space, np.ascontiguousarray(block))
