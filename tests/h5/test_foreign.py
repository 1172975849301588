"""Files made by other packages: read and written again, dataset by dataset, against plain h5py."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from mt.aio.h5 import CreateFileH5, OpenFileH5, _codec, _read, h5_load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]  # the packages take their time

OWN = Path(h5py.__file__).parent / "tests" / "data_files"


def _pandas(path):
    pytest.importorskip("tables")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": np.arange(5000.0), "b": ["word", "é"] * 2500})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' own, about texts
        with pd.HDFStore(path, "w", complevel=5, complib="zlib") as store:
            store.put("fixed", frame[["a"]])
            store.put("table", frame, format="table")


def _pytables(path):
    tables = pytest.importorskip("tables")
    with tables.open_file(path, "w") as file:
        zlib = tables.Filters(complevel=5, complib="zlib", shuffle=True, fletcher32=False)
        data = np.arange(60_000, dtype="i4").reshape(300, 200)
        file.create_carray("/", "carray", obj=data, filters=zlib, chunkshape=(64, 64))
        rows = file.create_earray(
            "/g",
            "rows",
            shape=(0, 3),
            obj=None,
            createparents=True,
            atom=tables.Float64Atom(),
            filters=zlib,
        )
        rows.append(np.ones((2000, 3)))
        file.create_vlarray("/", "ragged", tables.Int32Atom()).append([1, 2, 3])
        file.create_array("/", "names", [b"ab", b"c"])


def _netcdf(path):
    h5netcdf = pytest.importorskip("h5netcdf")
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"t": None, "x": 40}
        file.resize_dimension("t", 300)
        options = {"compression": "gzip", "shuffle": True, "chunks": (50, 40)}
        air = file.create_variable("air", ("t", "x"), "f4", fillvalue=-999.0, **options)
        air[:200] = np.random.default_rng(0).random((200, 40))
        air.attrs["units"] = "K"


# Keras' own backend, which counts by numpy, imports two packages of 400 MB for functions that
# nobody calls here. It is content with anything of these names.
_KERAS = """
import importlib.abc
import importlib.machinery
import sys
from unittest.mock import MagicMock


class Unused(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"jax", "scipy"}:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return MagicMock(name=spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Unused())
import keras

layers = [keras.layers.Dense(40, activation="relu"), keras.layers.Dense(2)]
model = keras.Sequential([keras.Input((30,)), *layers])
model.compile("adam", "mse")
model.save_weights(sys.argv[1])
model.save(sys.argv[1].replace("weights.h5", "model.h5"))
"""

_NETCDF4 = """
import sys
import netCDF4
import numpy as np

with netCDF4.Dataset(sys.argv[1], "w") as file:
    file.createDimension("t", None)
    file.createDimension("x", 40)
    more = {"zlib": True, "complevel": 4, "shuffle": True, "chunksizes": (50, 40)}
    air = file.createVariable("air", "f4", ("t", "x"), fill_value=-999.0, **more)
    air[:200] = np.random.default_rng(0).random((200, 40))
    air.units = "K"
    inner = file.createGroup("inner")
    inner.createVariable("words", str, ("t",))[:3] = np.array(["a", "é", ""], object)
    inner.createVariable("packed", "i2", ("t", "x"), zlib=True, fletcher32=True)[:] = 7
"""


def _made_by(package, program):
    """Let a process of its own make a file: the packages warn, and bring an HDF5 of their own."""

    def make(path):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
        command = [sys.executable, "-W", "ignore", "-c", program, path]
        environment = {**os.environ, "KERAS_BACKEND": "numpy", "KERAS_HOME": os.path.dirname(path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return make


def _filters_of_hdf5plugin(path):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    kinds = {
        "blosc": hdf5plugin.Blosc(cname="lz4", shuffle=hdf5plugin.Blosc.SHUFFLE),
        "blosc2": hdf5plugin.Blosc2(),
        "bitshuffle": hdf5plugin.Bitshuffle(cname="lz4"),
        "lz4": hdf5plugin.LZ4(),
        "zstd": hdf5plugin.Zstd(),
    }
    data = np.arange(60_000, dtype="f4").reshape(300, 200)
    with h5py.File(path, "w") as file:
        for name, kind in kinds.items():
            file.create_dataset(name, data=data, chunks=(64, 64), **kind)


def _own(name):
    def copy(path):
        if not (OWN / name).exists():
            pytest.skip("h5py was installed without its test data")
        shutil.copy(OWN / name, path)

    return copy


MAKERS = {
    "pandas": _pandas,
    "PyTables": _pytables,
    "h5netcdf": _netcdf,
    "netCDF4": _made_by("netCDF4", _NETCDF4),
    "Keras.weights": _made_by("keras", _KERAS),
    "Keras.model": lambda path: None,  # the weights' process has made it, too
    "hdf5plugin": _filters_of_hdf5plugin,
    **{
        name: _own(name)
        for name in (
            "compound-dtype-complex.h5",
            "vlen_string_dset.h5",
            "vlen_string_dset_utc.h5",
            "vlen_string_s390x.h5",
        )
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make each file once: that takes some packages seconds."""
    folder = tmp_path_factory.mktemp("made")

    @functools.cache
    def make(name):
        if name == "Keras.model":
            make("Keras.weights")
        path = folder / f"{name}.h5"
        MAKERS[name](str(path))
        return path

    return make


@pytest.fixture(params=MAKERS)
def path(request, made, tmp_path, monkeypatch):
    """A file of each maker; no array of it is too small for us."""
    monkeypatch.setattr(_codec, "SMALLEST", 1)
    monkeypatch.setattr(_read, "SMALL", 1)
    return Path(shutil.copy(made(request.param), tmp_path / "file.h5"))


def _datasets(file):
    found = []
    file.visititems(lambda name, each: found.append(name) if _is_dataset(each) else None)
    return found


def _is_dataset(each):
    return isinstance(each, h5py.Dataset)


def _filters(dset):
    """Give what makes `create_dataset` use the filters of a dataset."""
    if dset.chunks is None:
        return {}
    others = {key: value for key, value in dset._filters.items() if key.isdecimal()}
    if others:
        ((code, settings),) = others.items()
        return {"compression": int(code), "compression_opts": settings}
    return {"compression": "gzip", "shuffle": True, "fletcher32": dset.fletcher32}


def _same(ours, plain):
    if isinstance(plain, h5py.Empty):
        assert ours == plain
        return
    assert type(ours) is type(plain)
    if isinstance(plain, (np.ndarray, np.generic)):
        assert ours.dtype == plain.dtype
    if np.asarray(plain).dtype.hasobject:
        assert repr(np.asarray(ours).tolist()) == repr(np.asarray(plain).tolist())
    else:
        np.testing.assert_array_equal(ours, plain)


def test_read(mode, path):
    """Every dataset is what plain h5py gives."""

    async def body(context_vars):
        async with OpenFileH5(path, context_vars=context_vars) as f:
            names = await f.run(_datasets, f.handle)
            return {name: await f.read(name) for name in names}

    found = mode.run(body)
    assert found
    with h5py.File(path) as file:
        for name, value in found.items():
            _same(value, file[name][()])


def test_write_again(mode, path, tmp_path):
    """Every dataset, written anew with its own type, is the same."""

    async def body(context_vars):
        async with (
            OpenFileH5(path, context_vars=context_vars) as f,
            CreateFileH5(tmp_path / "new.h5", context_vars=context_vars, verify=True) as new,
        ):
            for name in await f.run(_datasets, f.handle):
                old = f.handle[name]
                if h5py.check_ref_dtype(old.dtype) or (old.dtype.names and old.dtype.hasobject):
                    continue  # these point into their own file
                filters = _filters(old)
                value = await f.read(name)
                dtype = None if isinstance(value, h5py.Empty) else old.dtype
                await new.write(
                    name, value, dtype=dtype, chunks=old.chunks, maxshape=old.maxshape, **filters
                )

    mode.run(body)
    with h5py.File(path) as old, h5py.File(tmp_path / "new.h5") as new:
        for name in _datasets(new):
            _same(new[name][()], old[name][()])
            assert new[name].dtype == old[name].dtype
            assert set(new[name]._filters) >= {k for k in old[name]._filters if k.isdecimal()}


def test_load(mode, path):
    """The whole file can be loaded as a tree."""

    async def body(context_vars):
        return await h5_load(path, context_vars=context_vars, attrs=True)

    assert mode.run(body)


def test_change(mode, path):
    """A foreign file can be extended; what was in it stays."""
    with h5py.File(path) as file:
        before = {name: file[name].dtype for name in _datasets(file)}

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars, verify=True) as f:
            await f.write("mt_aio", np.arange(10))

    mode.run(body)
    with h5py.File(path) as file:
        assert {name: file[name].dtype for name in before} == before
        assert file["mt_aio"][3] == 3
