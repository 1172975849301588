"""The awaitable write and read of a context."""

from __future__ import annotations

import asyncio
import io
import threading

import h5py
import numpy as np
import pytest
from tqdm import tqdm

from mt.aio.core.lowlevel import MissingModeError, submit
from mt.aio.h5 import CreateFileH5, OpenFileH5, _codec, _write
from mt.aio.h5._lane import LANE

GZIP = {"chunks": (1000, 10), "compression": "gzip", "shuffle": True}


@pytest.fixture
def data():
    """Ten chunks and a bit, 820 kB."""
    return np.random.default_rng(0).integers(0, 99, (5100, 20)).astype("f8")


@pytest.fixture
def path(tmp_path, data):
    """A file with the data, made by h5py."""
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("x", data=data, **GZIP)
        file.create_dataset("plain", data=data)
        file.create_group("group")
    return tmp_path / "file.h5"


def test_write(mode, tmp_path, data):
    """What was written is read back, by the context itself and by h5py."""

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "a.h5", context_vars=context_vars) as f:
            await f.write("g/x", data, attrs={"unit": "m"}, **GZIP)
            await f.write("list", [1, 2])
            await f.write("text", "word")
            await f.write("later", shape=(3,), dtype="i2", fillvalue=7)
            assert (await f.read("g/x") == data).all()
            return await f.read("later", 1)

    assert mode.run(body) == 7
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file["g/x"][()] == data).all()
        assert dict(file["g/x"].attrs) == {"unit": "m"}
        assert (file["g/x"].chunks, file["g/x"].compression) == ((1000, 10), "gzip")
        assert file["list"][()].tolist() == [1, 2]
        assert file["text"].asstr()[()] == "word"


@pytest.mark.parametrize("name", ["x", "plain"])
@pytest.mark.parametrize(
    "selection",
    [
        (),
        ...,
        np.s_[:4000],
        np.s_[7:5000:3, 5:],
        np.s_[:, 3],
        np.s_[5, 6],
        np.s_[[1, 5, 7]],
        np.s_[:0],
    ],
    ids=repr,
)
def test_read(mode, path, data, name, selection):
    """Whatever is selected is what h5py gives."""

    async def body(context_vars):
        async with OpenFileH5(path, context_vars=context_vars) as f:
            return await f.read(name, selection)

    found = mode.run(body)
    with h5py.File(path) as file:
        expected = file[name][selection]
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("deflate", ["auto", "isal", "zlib_ng", "zlib"])
@pytest.mark.parametrize("level", [0, 1, 4, 9])
def test_deflate(mode, tmp_path, data, deflate, level):
    """Any library makes what h5py reads."""
    if deflate not in {"auto", "zlib"}:
        pytest.importorskip(deflate)

    part = data[:1100]  # two chunks, one at the edge: levels 9 take their time

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "a.h5", context_vars=context_vars) as f:
            await f.write("x", part, deflate=deflate, **GZIP, compression_opts=level)

    mode.run(body)
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file["x"][()] == part).all()
        assert file["x"].compression_opts == level


def test_without_a_fast_deflate(mode, path, tmp_path, data, monkeypatch):
    """The standard zlib does where nothing else is installed, and the choice says what it needs."""

    def missing(name):
        if name != "zlib":
            raise ModuleNotFoundError(name=name)
        return __import__(name)

    _codec._library.cache_clear()
    monkeypatch.setattr(_codec, "import_module", missing)

    async def body(context_vars):
        async with OpenFileH5(path, "r+", context_vars=context_vars) as f:
            await f.write("y", data, **GZIP)
            assert (await f.read("y") == data).all()
            with pytest.raises(ModuleNotFoundError, match=r"mt-aio-h5\[fast\]"):
                await f.write("z", data, deflate="isal")

    mode.run(body)
    _codec._library.cache_clear()


def test_unknown_deflate(mode, tmp_path):
    """An unknown library is refused."""

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "a.h5", context_vars=context_vars) as f:
            await f.write("x", [1], deflate="lzma")

    with pytest.raises(ValueError, match="deflate is"):
        mode.run(body)


@pytest.mark.parametrize("name", ["x", "plain"])
def test_progress(mode, path, data, name):
    """A function is told the bytes done, up to all; a bar counts them."""
    calls = []

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            await f.write("y", data, progress=lambda *call: calls.append(call), **GZIP)
            await f.write("small", 3, progress=lambda *call: calls.append(call))
            with tqdm(disable=True) as bar:
                await f.read(name, progress=bar)
                return bar.total

    total = mode.run(body)
    assert total == data.nbytes
    assert calls[-1] == (8, 8)
    done = [each for each, total in calls[:-1] if total == data.nbytes]
    assert len(done) > 1
    assert done == sorted(done)
    assert done[-1] == data.nbytes


def test_progress_raises(mode, path, data):
    """What the progress function raises ends the writing, and the dataset is taken away again."""

    def progress(done, total):
        raise LookupError(done)

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            with pytest.raises(LookupError):
                await f.write("y", data, progress=progress, **GZIP)
            with pytest.raises(LookupError):
                await f.write("z", data, progress=progress)

    mode.run(body)
    with h5py.File(path) as file:
        assert sorted(file) == ["group", "plain", "x"]


@pytest.mark.parametrize("options", [GZIP, {}, {"chunks": (100, 10), "compression": "lzf"}])
def test_cancelled_write(async_mode, path, data, monkeypatch, halt, *, options):
    """A cancelled write ends between two pieces, and the dataset is taken away again."""
    monkeypatch.setattr(_write, "PLAIN_PIECE", 2**17)
    monkeypatch.setattr(_write, "FILTERED_PIECE", 2**17)

    def progress(done, total):
        halt()

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            task = asyncio.create_task(f.write("y", data, progress=progress, **options))
            await halt.cancel(task)
            assert "y" not in await f.run(list, f.handle)

    async_mode.run(body)


def test_order(async_mode, path, data):
    """What was issued first is done first, without being awaited."""

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            go_on = threading.Event()
            submit(go_on.wait, 30, order=LANE)
            write = asyncio.create_task(f.write("y", data, **GZIP))
            await asyncio.sleep(0)
            read = asyncio.create_task(f.read("y"))
            await asyncio.sleep(0)
            go_on.set()
            await write
            assert (await read == data).all()

    async_mode.run(body)


def test_outside_of_the_context(mode, path):
    """Without a context there is no file."""

    async def body(context_vars):
        f = OpenFileH5(path, context_vars=context_vars)
        for call in (f.write("y", [1]), f.read("x"), f.run(list)):
            with pytest.raises(RuntimeError, match="is not open"):
                await call

    mode.run(body)


def test_open_for_reading(mode, path):
    """A file that is open for reading is not written to."""

    async def body(context_vars):
        async with OpenFileH5(path, context_vars=context_vars) as f:
            await f.write("y", [1])

    with pytest.raises(io.UnsupportedOperation, match="open for reading"):
        mode.run(body)


def test_no_name(mode, path):
    """A name is a str."""

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            with pytest.raises(TypeError, match="name is a str"):
                await f.write(None, [1])
            with pytest.raises(TypeError, match="name is a str"):
                await f.read(3)

    mode.run(body)


@pytest.mark.parametrize("name", ["", "\0", "x\0y"])
def test_name_that_hdf5_would_cut(mode, path, data, name):
    """HDF5 ends a name at a zero: what was wanted would go to another dataset."""

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            with pytest.raises(ValueError, match="is no name in HDF5"):
                await f.write(name, [1])
            assert (await f.read("x") == data).all()

    mode.run(body)


def test_missing_mode(mode, path):
    """Without a mode nothing is done."""

    async def body(context_vars):
        with OpenFileH5(path) as f, pytest.raises(MissingModeError):
            await f.read("x")

    mode.run(body)
