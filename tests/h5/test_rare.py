"""What is rare in files and on systems: odd chunks, odd types, what a file system cannot do."""

from __future__ import annotations

import errno
import fcntl
import os
import zlib

import h5py
import numpy as np
import pytest

from mt.aio.h5 import CreateFileH5, OpenFileH5, _codec, _crew, _explain, _grid, _read, h5_load

DATA = np.arange(40_000, dtype="i4")


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file with compressed chunks; no array of it is too small for us."""
    monkeypatch.setattr(_codec, "SMALLEST", 1)
    monkeypatch.setattr(_read, "SMALL", 1)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=DATA, chunks=(1000,), compression="gzip", shuffle=True)
    return tmp_path / "a.h5"


class _Bar:
    total = None
    n = 0

    def update(self, n):
        self.n += n


def _read_it(mode, path, name="x", selection=(), progress=None):
    async def body(context_vars):
        async with OpenFileH5(path, context_vars=context_vars) as f:
            return await f.read(name, selection, progress=progress)

    return mode.run(body)


@pytest.mark.parametrize("mask", [0b00, 0b01, 0b10, 0b11])
def test_chunks_that_lack_filters(mode, path, mask):
    """A chunk may have been stored without some of the filters; it says so itself."""
    chunk = DATA[1000:2000]
    shuffled = np.ascontiguousarray(chunk.view("u1").reshape(-1, 4).T).tobytes()
    data = chunk.tobytes() if mask & 1 else shuffled
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((1000,), data if mask & 2 else zlib.compress(data), mask)
    assert (_read_it(mode, path) == DATA).all()


@pytest.mark.parametrize("size", [900, 1100])
def test_a_chunk_of_another_size(mode, path, size):
    """HDF5 gives whatever is in memory for a chunk that is too short; here it is an error."""
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((39_000,), zlib.compress(bytes(4 * size)))
    with pytest.raises(OSError, match=f"'/x': cannot be read .*{4 * size} bytes instead") as caught:
        _read_it(mode, path)
    assert caught.value.filename == str(path)


def test_a_bar_of_a_damaged_dataset(mode, path):
    """What was counted before the damage was met is taken back."""
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((39_000,), b"no zlib stream")
    bar = _Bar()
    with pytest.raises(OSError, match="cannot be read"):
        _read_it(mode, path, progress=bar)
    assert 0 <= bar.n < DATA.nbytes


@pytest.mark.parametrize("few", [0, 100])
def test_holes(mode, path, monkeypatch, few):
    """Chunks that were never written are fill values, in a selection of some of many chunks."""
    monkeypatch.setattr(_read, "FEW", few)
    with h5py.File(path, "r+") as file:
        dset = file.create_dataset(
            "holes", (90, 90), "i4", chunks=(10, 10), compression="gzip", fillvalue=7
        )
        dset[::20, ::30] = 1
        plain = dset[5:65, 15::2]
    assert (_read_it(mode, path, "holes", np.s_[5:65, 15::2]) == plain).all()


def test_many_chunks_are_listed_once(mode, path, monkeypatch):
    """Asking HDF5 for single chunks took time in proportion to the square of their number."""
    asked = []
    plain = _read._written

    def spy(dset, axes):
        asked.append(len(axes[0]))
        return plain(dset, axes)

    monkeypatch.setattr(_read, "_written", spy)
    assert (_read_it(mode, path) == DATA).all()
    assert asked == [40]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(h5py.h5t.IEEE_F32BE, ">f4"), (np.dtype(">i2"), ">i2"), (np.dtype("f2"), "<f2")],
)
def test_types_that_are_converted(mode, tmp_path, dtype, expected):
    """A type of HDF5's, another byte order, half precision: as plain h5py has it."""
    data = np.arange(100)

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "b.h5", context_vars=context_vars) as f:
            await f.write("x", data, dtype=dtype)

    mode.run(body)
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["x"].dtype == np.dtype(expected)
        assert (file["x"][()] == data).all()


def test_types_of_text_for_numbers(mode, tmp_path):
    """What h5py does not convert is its error, with the dataset's name."""

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "b.h5", context_vars=context_vars) as f:
            with pytest.raises(TypeError, match="dataset 'x'"):
                await f.write("x", DATA, dtype=h5py.string_dtype())

    mode.run(body)


def test_named_type(mode, path):
    """A type that has a name of its own is loaded as a dtype, with its attributes."""
    with h5py.File(path, "r+") as file:
        file["t"] = np.dtype("<f4")
        file["t"].attrs["unit"] = "m"

    async def body(context_vars):
        return await h5_load(path, "t", context_vars, attrs=True)

    item = mode.run(body)
    assert item.value == np.dtype("<f4")
    assert item.attrs == {"unit": "m"}


def test_no_locks(mode, path, monkeypatch):
    """A file system that has no locks is none that could refuse."""

    def refuse(*args):
        raise OSError(errno.ENOLCK, "injected")

    monkeypatch.setattr(fcntl, "flock", refuse)

    async def body(context_vars):
        async with OpenFileH5(path, "r+", context_vars) as f:
            await f.write("new", [1])

    mode.run(body)
    with h5py.File(path) as file:
        assert "new" in file


def test_cores_of_other_systems(monkeypatch):
    """Where no system call tells what this process may use, all cores count."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert _crew.cores() == os.cpu_count()


@pytest.mark.parametrize("part", [slice("a"), slice(None, None, 0)])
def test_slices_that_are_none(part):
    """Nonsense is left to h5py, which says so."""
    assert _grid.spans_of(part, (5,)) is None


@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("utf-8", b"", 0, 1, "x"), FileNotFoundError(2, "x", "name")]
)
def test_errors_that_say_enough(error):
    """Kinds of their own, and those with a name of a file, are left as they are."""
    with pytest.raises(type(error)) as caught, _explain.explained("path", "x"):
        raise error
    assert caught.value is error
    with pytest.raises(type(error)) as caught, _explain.numbered("path", "own"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("kind", [OSError, RuntimeError, KeyError, ValueError])
def test_numbers_in_errors_of_any_kind(kind):
    """HDF5 tells a number in its text, whatever kind of error h5py makes of that."""
    text = "Can't do it (file write failed: errno = 28, error message = 'No space', buf = 0x0)"
    for guard in (_explain.explained("path"), _explain.numbered("path", "own")):
        with pytest.raises(OSError, match="No space left") as caught, guard:
            raise kind(text)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "path")


@pytest.mark.parametrize(
    ("name", "told", "filename"),
    [("own", "Input/output error", "path"), ("other", "Can't do it", None)],
)
def test_errors_of_other_files(name, told, filename):
    """What HDF5 says of another file, which the body has open as well, is not about ours."""
    text = f"Can't do it (write failed: filename = '{name}', errno = 5, error message = 'x')"
    with pytest.raises(OSError, match=told) as caught, _explain.numbered("path", "own"):
        raise OSError(text)
    assert caught.value.filename == filename


def test_error_without_any_number():
    """Where HDF5 tells no number, and it is not the file's content, it is EIO."""
    message = "could not do what was wanted"
    with pytest.raises(OSError, match=message) as caught, _explain.explained("path"):
        raise OSError("Unable to synchronously create file (can't lstat file)")
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, "path")


def test_damaged_index(mode, path):
    """Where the way to the chunks is damaged, that is an error of the file, with its name."""
    content = path.read_bytes()
    node = b"TREE\1"  # a node of the index of chunks
    assert content.count(node) == 1
    path.write_bytes(content.replace(node, b"FREE\1"))
    with pytest.raises(OSError, match=r"Dataset '/?x': cannot be read") as caught:
        _read_it(mode, path)
    assert caught.value.filename == str(path)


def test_type_that_numpy_lacks(mode, path):
    """What h5py has no dtype for is told with file and dataset."""
    with h5py.File(path, "r+") as file:
        odd = h5py.h5t.IEEE_F64LE.copy()
        odd.set_fields(63, 43, 20, 0, 43)  # more of an exponent than any float here
        h5py.h5d.create(file.id, b"odd", odd, h5py.h5s.create_simple((3,)))
    with pytest.raises(ValueError, match=r"a\.h5', dataset 'odd': Insufficient precision"):
        _read_it(mode, path, "odd")


def test_fill_value_that_nobody_wants(mode, path, monkeypatch):
    """The process died over a damaged fill value, asked for although each chunk was there."""

    def crash(dset):
        raise AssertionError(dset)

    monkeypatch.setattr(h5py.Dataset, "fillvalue", property(crash))
    assert (_read_it(mode, path) == DATA).all()
