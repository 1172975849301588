"""Every argument that h5py's create_dataset takes, given to `write`: the dataset is the same."""

from __future__ import annotations

import inspect

import h5py
import numpy as np
import pytest
from h5py._hl.dataset import make_new_dset

from mt.aio.h5 import CreateFileH5, _codec

DATA = np.arange(600, dtype="i4").reshape(30, 20)

CHUNKS = {"chunks": (8, 8)}


def _creation():
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((8, 8))
    plist.set_shuffle()
    plist.set_deflate(5)
    return plist


def _access():
    plist = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    plist.set_chunk_cache(101, 2**20, 0.5)
    return plist


# The options of a call for each argument; made for each file anew, as property lists are.
OPTIONS = {
    "shape": lambda: {"shape": (20, 30)},
    "dtype": lambda: {"dtype": ">f8"},
    "chunks": lambda: {"chunks": True},
    "compression": lambda: {**CHUNKS, "compression": "lzf"},
    "compression_opts": lambda: {**CHUNKS, "compression": "gzip", "compression_opts": 9},
    "shuffle": lambda: {**CHUNKS, "compression": 3, "shuffle": True},
    "fletcher32": lambda: {**CHUNKS, "compression": 1, "fletcher32": True},
    "scaleoffset": lambda: {**CHUNKS, "scaleoffset": 0},
    "maxshape": lambda: {"maxshape": (None, 40), "compression": "gzip"},
    "fillvalue": lambda: {**CHUNKS, "fillvalue": 3, "compression": "gzip"},
    "fill_time": lambda: {**CHUNKS, "fill_time": "never"},
    "track_times": lambda: {"track_times": False},
    "track_order": lambda: {"track_order": True},
    "external": lambda: {"external": [("outside.bin", 0, h5py.h5f.UNLIMITED)]},
    "efile_prefix": lambda: {
        "external": [("outside.bin", 0, h5py.h5f.UNLIMITED)],
        "efile_prefix": "${ORIGIN}",
    },
    "virtual_prefix": lambda: {"virtual_prefix": "${ORIGIN}"},
    "allow_unknown_filter": lambda: {**CHUNKS, "allow_unknown_filter": True},
    "dcpl": lambda: {"dcpl": _creation()},
    "dapl": lambda: {**CHUNKS, "dapl": _access()},
    "rdcc_nslots": lambda: {**CHUNKS, "compression": 1, "rdcc_nslots": 101},
    "rdcc_nbytes": lambda: {**CHUNKS, "compression": 1, "rdcc_nbytes": 2**21},
    "rdcc_w0": lambda: {**CHUNKS, "compression": 1, "rdcc_w0": 0.5},
}


def test_no_argument_is_forgotten():
    """The table has what this version of h5py takes."""
    known = set(inspect.signature(make_new_dset).parameters) - {"parent", "name", "data"}
    assert known <= set(OPTIONS)


@pytest.mark.parametrize("argument", OPTIONS)
def test_argument(mode, tmp_path, monkeypatch, argument):
    """Values and creation properties are those of a dataset that h5py has made."""
    known = inspect.signature(make_new_dset).parameters
    if argument not in known:
        pytest.skip("this h5py does not take it")
    monkeypatch.setattr(_codec, "SMALLEST", 1)
    options = OPTIONS[argument]
    for name in ("ours", "plain"):
        (tmp_path / name).mkdir()
    ours, plain = tmp_path / "ours" / "a.h5", tmp_path / "plain" / "a.h5"

    async def body(context_vars):
        async with CreateFileH5(ours, context_vars=context_vars) as f:
            await f.write("g/x", DATA, **options())

    monkeypatch.chdir(tmp_path / "ours")
    mode.run(body)
    monkeypatch.chdir(tmp_path / "plain")
    with h5py.File(plain, "w") as file:
        file.create_dataset("g/x", data=DATA, **options())
    with h5py.File(plain) as file:
        expected, properties = file["g/x"][()], _properties(file["g/x"])
    monkeypatch.chdir(tmp_path / "ours")
    with h5py.File(ours) as file:
        np.testing.assert_array_equal(file["g/x"][()], expected, strict=True)
        assert _properties(file["g/x"]) == properties


def _properties(dset):
    """Describe how a dataset was made."""
    plist = dset.id.get_create_plist()
    return {
        "dtype": dset.dtype,
        "maxshape": dset.maxshape,
        "chunks": dset.chunks,
        "filters": [plist.get_filter(at) for at in range(plist.get_nfilters())],
        "fill": (dset.fillvalue, plist.get_fill_time(), plist.get_alloc_time()),
        "layout": plist.get_layout(),
        "external": dset.external,
        "times": plist.get_obj_track_times(),
        "order": plist.get_attr_creation_order(),
    }
