"""Reading a dataset: plain blocking code that may be told to give up between two pieces."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import product, repeat
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from mt.aio.h5._codec import DamagedChunkError, MeasureError, codec_of, opaque
from mt.aio.h5._crew import batches, mapped
from mt.aio.h5._explain import check_open, explained
from mt.aio.h5._grid import Box, Span, blocks, pieces, spans_of
from mt.aio.h5._report import Progress, Report

if TYPE_CHECKING:
    import h5py
    import numpy.typing as npt

    from mt.aio.h5._codec import Codec

    Array = npt.NDArray[Any]

# Less than this is read in one go. Arbitrary: a millisecond or so.
SMALL = 2**19

# Between pieces of this size it is looked whether the caller has been cancelled, and h5py's lock
# is free: some ten milliseconds of plain reading, tens of decompressing. A piece costs a fifth of
# a millisecond by itself; of 32 MiB, plain reading took 4 % longer than in one go, of 64 MiB 1 %.
PIECE = 64 * 2**20
FILTERED_PIECE = 16 * 2**20

# So many chunks are asked for one by one. Arbitrary: what a call of Python's costs in HDF5's own.
FEW = 16


def find_dataset(file: h5py.File, path: str, name: str) -> h5py.Dataset:
    """Give the dataset of a name.

    Raises:
        KeyError: there is nothing of this name
        TypeError: it is a group or a type
    """
    import h5py

    with explained(path, name):
        found = file.get(name)
    if found is None:
        raise KeyError(f"{path!r} has no dataset {name!r}")
    if not isinstance(found, h5py.Dataset):
        raise TypeError(f"{path!r}: {name!r} is a {type(found).__name__.lower()}, not a dataset")
    return found


def read_dataset(
    file: h5py.File, path: str, name: str, selection: Any, progress: Progress = None
) -> Any:
    """Read what is selected of a dataset, as `dataset[selection]` does."""
    check_open(file, path)
    dset = find_dataset(file, path, name)
    with explained(path, name):
        _provide_filters(dset, path)
        spans = _spans_worth_it(dset, selection)
    if spans is None:
        report = Report(progress, 0)
        with explained(path, name):
            value = dset[selection]
        report.finish()
        return value
    out = read_spans(dset, path, spans, progress)
    return out.reshape([span.length for span in spans if not span.single])


def _provide_filters(dset: h5py.Dataset, path: str) -> None:
    """Register the filters of hdf5plugin, if one is missing and the package is there.

    Raises:
        OSError: one is missing nevertheless
    """
    from h5py import h5z

    plist = dset.id.get_create_plist()
    filters = [plist.get_filter(at) for at in range(plist.get_nfilters())]
    missing = [each for each in filters if not h5z.filter_avail(each[0])]
    if not missing:
        return
    with suppress(ModuleNotFoundError):
        import_module("hdf5plugin")
    for code, _, _, name in missing:
        if not h5z.filter_avail(code):
            what = f"filter {code} ({name.decode(errors='replace')})"
            text = f'Dataset {dset.name!r} needs {what}: pip install "mt-aio-h5[plugins]"'
            raise OSError(errno.ENOTSUP, text, path)


def _spans_worth_it(dset: h5py.Dataset, selection: Any) -> list[Span] | None:
    """Give the selection as spans, if it is plain and large; None if h5py is to read it."""
    if not dset.shape or dset.dtype.hasobject or dset.dtype.subdtype is not None:
        return None
    spans = spans_of(selection, dset.shape)
    if spans is None or all(span.single for span in spans):
        return None
    size = prod(span.length for span in spans) * dset.dtype.itemsize
    return spans if size >= SMALL else None


def read_spans(
    dset: h5py.Dataset, path: str, spans: list[Span], progress: Progress = None
) -> Array:
    """Read a plain selection into a new array, which keeps the axes of single indices."""
    import numpy as np

    shape = tuple(span.length for span in spans)
    out = np.empty(shape, dset.dtype)
    report = Report(progress, out.nbytes)
    if not _read_chunks(dset, spans, out, report, path):
        _read_blocks(dset, spans, out, report, path)
    return out


class _Stored(NamedTuple):
    """A chunk as it is in the file, and where its values belong."""

    data: bytes | None  # None if it was never written
    mask: int
    inside: Box
    outside: Box
    fill: Any  # the value of a chunk that was never written; else of no meaning


def _read_chunks(
    dset: h5py.Dataset, spans: list[Span], out: Array, report: Report, path: str
) -> bool:
    """Take chunks as they are stored and decompress them in threads.

    Returns:
        Whether all is well. If not, HDF5 is to try, and to say what is wrong.
    """
    with explained(path, dset.name):
        codec = codec_of(dset)
    if codec is None:
        return False
    out, chunks = opaque(out), dset.chunks
    size = prod(chunks) * out.dtype.itemsize

    def decode(batch: list[_Stored]) -> int:
        return sum(_place(stored, out, codec, chunks) for stored in batch)

    try:
        stored = _stored(dset, spans, path)
        with mapped(decode, batches(stored, size), 4 * size) as results:
            for count in results:
                report.advance(count * out.dtype.itemsize)
    except DamagedChunkError:
        report.restart()
        return False
    except MeasureError as exc:
        text = f"Dataset {dset.name!r}: cannot be read (a chunk is damaged: {exc})"
        raise OSError(errno.EIO, text, path) from exc
    return True


def _stored(dset: h5py.Dataset, spans: list[Span], path: str) -> Iterator[_Stored]:
    """Fetch the chunks that a selection touches."""
    import numpy as np

    axes = [pieces(span, chunk) for span, chunk in zip(spans, dset.chunks, strict=True)]
    with explained(path, dset.name), _damage_found():
        written = _written(dset, [[part.origin for part in axis] for axis in axes])
    fill = None
    for parts, is_there in zip(product(*axes), written, strict=False):
        mask, data = 0, None
        if is_there:
            with explained(path, dset.name), _damage_found():
                mask, data = dset.id.read_direct_chunk(tuple(part.origin for part in parts))
        elif fill is None:  # not before it is wanted: HDF5 crashes over a damaged one
            with explained(path, dset.name):
                fill = opaque(np.asarray(dset.fillvalue, dset.dtype))
        inside = tuple(part.inside for part in parts)
        outside = tuple(part.outside for part in parts)
        yield _Stored(data, mask, inside, outside, fill)


@contextmanager
def _damage_found() -> Iterator[None]:
    """Let HDF5 try to read as usual where it cannot find its way to a chunk."""
    try:
        yield
    except RuntimeError as exc:
        raise DamagedChunkError(str(exc)) from exc


def _written(dset: h5py.Dataset, axes: Sequence[Sequence[int]]) -> Iterable[bool]:
    """Tell of each chunk, the last axis running fastest, whether it is in the file.

    To ask for one takes HDF5 as long as to go through all that there are; and to read one that is
    not there gives nonsense.

    Args:
        dset: the dataset
        axes: where the chunks in question begin along each axis
    """
    import numpy as np

    if prod(map(len, axes)) <= FEW or not hasattr(dset.id, "chunk_iter"):
        info = dset.id.get_chunk_info_by_coord
        return [info(origin).byte_offset is not None for origin in product(*axes)]
    grid = (-(-size // chunk) for size, chunk in zip(dset.shape, dset.chunks, strict=True))
    if dset.id.get_num_chunks() == prod(grid):
        return repeat(True)
    places = [{at: place for place, at in enumerate(axis)} for axis in axes]
    found = np.zeros([len(axis) for axis in axes], bool)

    def note(info: h5py.h5d.StoreInfo) -> None:
        place = [each.get(at) for each, at in zip(places, info.chunk_offset, strict=True)]
        if None not in place:
            found[tuple(place)] = True

    dset.id.chunk_iter(note)
    return found.reshape(-1)


def _place(stored: _Stored, out: Array, codec: Codec, chunks: tuple[int, ...]) -> int:
    """Put the values of a chunk where they belong; return how many there are."""
    import numpy as np

    target = out[stored.outside]
    if stored.data is None:
        target[...] = stored.fill
    elif target.shape == chunks and target.flags.c_contiguous:
        codec.decode(stored.data, stored.mask, target.reshape(-1).view(np.uint8))
    else:
        chunk = np.empty(chunks, out.dtype)
        codec.decode(stored.data, stored.mask, chunk.reshape(-1).view(np.uint8))
        target[...] = chunk[stored.inside]
    return target.size


def _read_blocks(
    dset: h5py.Dataset, spans: list[Span], out: Array, report: Report, path: str
) -> None:
    """Let HDF5 do it all, a piece at a time."""
    from h5py import h5s

    most = PIECE if dset.id.get_create_plist().get_nfilters() == 0 else FILTERED_PIECE
    grain = dset.chunks or (1,) * out.ndim
    grain = tuple(max(1, n // span.step) for n, span in zip(grain, spans, strict=True))
    for box in blocks(out.shape, grain, out.dtype.itemsize, most):
        count = tuple(part.stop - part.start for part in box)
        pairs = list(zip(box, spans, strict=True))
        start = tuple(span.start + part.start * span.step for part, span in pairs)
        with explained(path, dset.name):
            source, target = dset.id.get_space(), h5s.create_simple(out.shape)
            source.select_hyperslab(start, count, tuple(span.step for span in spans))
            target.select_hyperslab(tuple(part.start for part in box), count)
            dset.id.read(target, source, out)
        report.advance(prod(count) * out.dtype.itemsize)
