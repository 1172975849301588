"""Datasets written and read by us against plain h5py, for whatever hypothesis thinks of."""

from __future__ import annotations

import itertools
import math
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mt.aio.h5 import _codec, _crew, _grid, _read, _write

COMPOUND = np.dtype([("a", "<i2"), ("b", ">f8"), ("c", "S3")])
ALIGNED = np.dtype([("a", "i1"), ("b", "f8")], align=True)
DTYPES = [
    *("?", "i1", "u1", "<i2", ">i2", "<u4", ">u4", "<i8", "<f2", "<f4", ">f4", "<f8", ">f8"),
    *("g", "<c8", ">c16", "S1", "S5", "V3", COMPOUND, ALIGNED),
]
DEFLATES = ["auto", "zlib", *(["isal"] if _codec._library("auto").__name__ != "zlib" else [])]


@pytest.fixture(autouse=True, scope="module")
def _no_size_is_too_small():
    """Let the ways that are meant for large arrays take small ones, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_codec, "SMALLEST", 1)
        patch.setattr(_read, "SMALL", 1)
        patch.setattr(_read, "PIECE", 64)
        patch.setattr(_read, "FILTERED_PIECE", 64)
        patch.setattr(_read, "FEW", 3)
        patch.setattr(_write, "PLAIN_PIECE", 64)
        patch.setattr(_write, "FILTERED_PIECE", 64)
        patch.setattr(_crew, "JOB_BYTES", 64)
        yield


def _arrays(dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.names or dtype.kind in "gV":  # hypothesis makes none of these
        size = math.prod(shape) * dtype.itemsize
        return st.binary(min_size=size, max_size=size).map(
            lambda data: _without_padding(np.frombuffer(data, dtype).reshape(shape))
        )
    if dtype == np.dtype("g"):
        return hnp.arrays("f8", shape).map(lambda array: array.astype("g"))
    return hnp.arrays(dtype, shape)


def _without_padding(array):
    """Make the bytes between the fields, which mean nothing, zero."""
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names or ():
        clean[name] = array[name]
    return clean if array.dtype.names else array


@st.composite
def jobs(draw):
    """An array and the arguments of create_dataset for it."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    options = {}
    if shape:
        if draw(st.booleans()):
            options["maxshape"] = tuple(draw(st.sampled_from([n + 4, None])) for n in shape)
        limits = [n or 3 for n in shape]
        options["chunks"] = draw(st.sampled_from([None, True]) | st.tuples(*map(_side, limits)))
        if 0 in shape and "maxshape" not in options:
            options["chunks"] = None
        elif draw(st.booleans()):
            options["compression"] = draw(st.sampled_from(["gzip", 0, 1, 9, "lzf", "gzip", "gzip"]))
        if options["chunks"] is not None:
            options["shuffle"] = draw(st.booleans())
            options["fletcher32"] = draw(st.sampled_from([False, False, True]))
    if dtype.kind in "iuf" and draw(st.booleans()):
        options["fillvalue"] = 7
    if dtype.kind in "iu" and draw(st.sampled_from([False, False, True])):
        options["dtype"] = draw(st.sampled_from(["<f8", ">i4", "<i2"]))
    array = draw(_arrays(dtype, shape))
    if draw(st.booleans()):
        array = np.asfortranarray(array)
    return array, options


def _side(limit):
    return st.integers(1, limit)


_numbers = itertools.count()


@contextmanager
def _file():
    with h5py.File(f"memory{next(_numbers)}", "w", driver="core", backing_store=False) as file:
        yield file


def _same(ours, plain):
    """Compare values to the bit, and what surrounds them."""
    assert type(ours) is type(plain)
    assert ours.dtype == plain.dtype
    assert ours.shape == plain.shape
    if ours.dtype == np.dtype("g"):  # of 16 bytes, 6 mean nothing
        np.testing.assert_array_equal(ours, plain)
    else:
        assert (
            _without_padding(np.asarray(ours)).tobytes()
            == _without_padding(np.asarray(plain)).tobytes()
        )


PROPERTIES = ("shape", "dtype", "maxshape", "chunks", "compression", "compression_opts", "shuffle")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(job=jobs(), deflate=st.sampled_from(DEFLATES))
def test_what_we_write_h5py_reads(job, deflate):
    """Values and properties are those of a dataset that h5py has made, also after it grew."""
    array, options = job
    how = _write.How(options, deflate, None)
    with _file() as ours, _file() as theirs:
        _write.write_dataset(ours, "path", "g/x", array, how)
        mine, plain = ours["g/x"], theirs.create_dataset("g/x", data=array, **options)
        for name in (*PROPERTIES, "fletcher32", "fillvalue"):
            assert str(getattr(mine, name)) == str(getattr(plain, name)), name
        assert mine.id.get_type() == plain.id.get_type()
        _same(mine[()], plain[()])
        if "maxshape" in options:
            for dset in (mine, plain):
                dset.resize([n + 4 for n in array.shape])
            _same(mine[()], plain[()])


@st.composite
def selections(draw, shape):
    """What may stand between brackets, plain or not."""
    if draw(st.sampled_from([True, False, False])):
        return draw(st.sampled_from([(), Ellipsis]))
    parts = []
    for size in shape:
        index = st.integers(-size, size - 1) if size else st.just(slice(None))
        parts.append(draw(index | _slices(size) | _slices(size) | st.just(slice(None))))
    cut = draw(st.integers(0, len(parts)))
    if draw(st.booleans()):
        return tuple(parts[:cut])
    return (*parts[:cut], Ellipsis, *parts[cut:]) if draw(st.booleans()) else tuple(parts)


def _slices(size):
    bounds = st.none() | st.integers(0, size + 2)
    return st.builds(slice, bounds, bounds, st.none() | st.integers(1, 4))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(job=jobs(), data=st.data())
def test_what_h5py_writes_we_read(job, data):
    """Any selection of any dataset is what h5py gives for it, unwritten chunks included."""
    array, options = job
    selection = data.draw(selections(array.shape))
    with _file() as file:
        if data.draw(st.booleans()):
            dset = file.create_dataset("x", data=array, **options)
        else:  # only a corner of it is ever written
            dtype = options.pop("dtype", array.dtype)
            dset = file.create_dataset("x", array.shape, dtype, **options)
            corner = tuple(slice(0, n // 2) for n in array.shape)
            if array.ndim and array[corner].size:
                dset[corner] = array[corner].astype(dtype)
        _same(
            np.asarray(_read.read_dataset(file, "path", "x", selection)),
            np.asarray(dset[selection]),
        )


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(shape=hnp.array_shapes(max_dims=3), grain=st.data(), target=st.integers(1, 400))
def test_blocks_cover_an_array_once(shape, grain, target):
    """Every element is in exactly one block; a block of several grains is within the target."""
    sizes = grain.draw(st.tuples(*(st.integers(1, n + 2) for n in shape)))
    seen = np.zeros(shape, int)
    for box in _grid.blocks(shape, sizes, 2, target):
        part = seen[box]
        part += 1
        grains = [-(-length // size) for length, size in zip(part.shape, sizes, strict=True)]
        assert part.nbytes // seen.itemsize * 2 <= target or math.prod(grains) == 1
    assert (seen == 1).all()


@settings(deadline=None)
@given(size=st.integers(0, 30), chunk=st.integers(1, 9), data=st.data())
def test_pieces_are_the_selection(size, chunk, data):
    """Cut at chunk borders and put together again, a selection is what it was."""
    selection = data.draw(_slices(size))
    line = np.arange(size)
    (span,) = _grid.spans_of(selection, (size,))
    out = np.full(span.length, -1)
    for piece in _grid.pieces(span, chunk):
        out[piece.outside] = line[piece.origin : piece.origin + chunk][piece.inside]
    assert out.tolist() == line[selection].tolist()


@pytest.mark.parametrize("selection", [[1, 2], (True,), "a", slice(None, None, -1), 9, (1, 1), 1.5])
def test_selections_that_are_left_to_h5py(selection):
    """Lists, masks, fields, steps backwards and nonsense are not for us."""
    assert _grid.spans_of(selection, (5,)) is None
