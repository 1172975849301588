"""Errors that name the file, the dataset and the cause."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from mt.aio.h5 import OpenFileH5, _explain, _read

RANDOM = np.random.default_rng(0).random(100_000)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sound file."""
    path = tmp_path_factory.mktemp("made") / "file.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=RANDOM, chunks=(10_000,), compression="gzip")
        file["g/n"] = 3
    return path


@pytest.fixture
def path(made, tmp_path):
    """A copy of it."""
    return Path(shutil.copy(made, tmp_path))


def _read_it(mode, path, name="x", selection=()):
    async def body(context_vars):
        async with OpenFileH5(path, context_vars=context_vars) as f:
            return await f.read(name, selection)

    return mode.run(body)


def _write_it(mode, path, data, **options):
    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            await f.write("g/new", data, **options)

    return mode.run(body)


def test_folder(mode, tmp_path):
    """A folder is no file."""
    for open_mode in ("r", "a"):

        async def body(context_vars, open_mode=open_mode):
            async with OpenFileH5(tmp_path, open_mode, context_vars):
                pytest.fail("entered")

        with pytest.raises(IsADirectoryError) as caught:
            mode.run(body)
        assert caught.value.filename == str(tmp_path)


@pytest.mark.parametrize(
    ("content", "open_mode"),
    [(b"", "r"), (b"not HDF5", "r"), (b"not HDF5", "a"), (b"PK\3\4" * 1000, "r")],
)
def test_foreign_file(mode, tmp_path, content, open_mode):
    """Something else than HDF5 is called so, and not touched."""
    path = tmp_path / "a.h5"
    path.write_bytes(content)

    async def body(context_vars):
        async with OpenFileH5(path, open_mode, context_vars):
            pytest.fail("entered")

    with pytest.raises(OSError, match="Is no HDF5 file") as caught:
        mode.run(body)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == content


def test_truncated_file(mode, path):
    """A file that was cut says how much of it is there."""
    size = path.stat().st_size
    os.truncate(path, size // 2)
    with pytest.raises(OSError, match=f"Is truncated: it has {size // 2} of {size} bytes"):
        _read_it(mode, path)


@pytest.mark.parametrize("fast", [True, False])
def test_damaged_dataset(mode, path, fast, monkeypatch):
    """Damage within a dataset is found by either way of reading, and named."""
    monkeypatch.setattr(_read, "SMALL", 1 if fast else 10**9)
    with h5py.File(path) as file:
        at = file["x"].id.get_chunk_info(3).byte_offset
    with open(path, "r+b") as file:
        file.seek(at + 100)
        file.write(bytes(1000))
    with pytest.raises(OSError, match=r"Dataset '/?x': cannot be read") as caught:
        _read_it(mode, path)
    assert caught.value.filename == str(path)
    assert (_read_it(mode, path, "x", slice(10_000)) == RANDOM[:10_000]).all()


_KILLED = """
    import os, h5py, numpy

    def main(path, version):
        f = h5py.File(path, "w", libver=version or None)
        f["x"] = numpy.zeros(100_000)
        f.flush() if version else None
        os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def unclosed(tmp_path_factory, run_each):
    """Files whose writers were killed, by HDF5's version of the format."""
    folder = tmp_path_factory.mktemp("unclosed")
    paths = {version: folder / f"{version}.h5" for version in ("", "latest")}
    for done in run_each(_KILLED, [(path, version) for version, path in paths.items()]):
        assert done.returncode == -signal.SIGKILL
    return paths


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("version", ["", "latest"])
def test_file_of_a_killed_writer(mode, unclosed, version):
    """What HDF5 leaves behind when its process is killed."""
    with pytest.raises(OSError, match=r"was not closed by whoever wrote it|Is truncated"):
        _read_it(mode, unclosed[version])


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """A process that keeps a file open for writing, and that file."""
    path = tmp_path_factory.mktemp("locked") / "file.h5"
    program = "import sys, h5py; f = h5py.File(sys.argv[1], 'w'); print(1, flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program, path], stdin=pipe, stdout=pipe) as child:
        child.stdout.readline()
        yield child, path
        child.communicate(b"\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/locks")
@pytest.mark.parametrize("open_mode", ["r", "a"])
def test_locked_file(mode, writer, open_mode):
    """A file that another process writes: the error says which one."""
    child, path = writer

    async def body(context_vars):
        async with OpenFileH5(path, open_mode, context_vars, locking=True):
            pytest.fail("entered")

    with pytest.raises(BlockingIOError, match=f"Is locked by process {child.pid} ") as caught:
        mode.run(body)
    assert caught.value.filename == str(path)
    assert os.listdir(path.parent) == ["file.h5"]


def test_lock_that_nobody_explains(mode, path, monkeypatch):
    """Where the system has no table of locks the error goes without a name."""
    monkeypatch.setattr(_explain, "_holder", lambda path: "")
    error = _explain._system_error(BlockingIOError(11, "unable to lock file"), str(path), None)
    assert isinstance(error, BlockingIOError)
    assert error.strerror == "Is locked"


def test_no_such_dataset(mode, path):
    """The error names what is missing and where."""
    with pytest.raises(KeyError, match=r"file\.h5' has no dataset 'g/y'"):
        _read_it(mode, path, "g/y")


def test_group_instead_of_a_dataset(mode, path):
    """A group cannot be read as an array."""
    with pytest.raises(TypeError, match="'g' is a group, not a dataset"):
        _read_it(mode, path, "g")


@pytest.mark.parametrize(
    ("selection", "error"),
    [(100_000, IndexError), ((0, 0), (TypeError, ValueError)), ([1, 10**6], IndexError)],
)
def test_selection_out_of_range(mode, path, selection, error):
    """The kind of error is h5py's; the text names file and dataset."""
    with pytest.raises(error, match=r"file\.h5', dataset 'x': "):
        _read_it(mode, path, "x", selection)


@pytest.mark.parametrize(
    ("data", "options", "error", "text"),
    [
        (np.array(["a"]), {}, TypeError, "h5py.string_dtype"),
        (object(), {}, TypeError, "knows no Python objects"),
        (np.array([None]), {}, TypeError, "knows no Python objects"),
        ([1, 2], {"chunks": (9,)}, ValueError, "Chunk shape"),
        ([1, 2], {"compression": "zip"}, ValueError, "unavailable"),
        ([1, 2], {"shape": (3,)}, ValueError, "incompatible"),
        (np.zeros(2), {"shape": (3,)}, ValueError, "incompatible"),
        (np.zeros(2), {"no_such_option": 3}, TypeError, "no_such_option"),
        (None, {}, TypeError, "must be specified"),
    ],
)
def test_what_cannot_be_written(mode, path, data, options, error, text):
    """The error names file and dataset; nothing was changed."""
    before = path.read_bytes()
    with pytest.raises(error, match=rf"(?s)file\.h5', dataset 'g/new': .*{text}"):
        _write_it(mode, path, data, **options)
    assert path.read_bytes() == before


def test_name_that_is_taken(mode, path):
    """What is there stays."""

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            with pytest.raises(ValueError, match=r"dataset 'x': .*name already exists"):
                await f.write("x", RANDOM)
            with pytest.raises(ValueError, match=r"dataset 'g/n': .*name already exists"):
                await f.write("g/n", [1])

    mode.run(body)
    assert (_read_it(mode, path) == RANDOM).all()


@pytest.mark.slow
def test_missing_filter(path, tmp_path):
    """A dataset whose filter is not there: the error says what to install; hdf5plugin is used."""
    hdf5plugin = pytest.importorskip("hdf5plugin")
    with h5py.File(path, "r+") as file:
        file.create_dataset("z", data=RANDOM, compression=hdf5plugin.Zstd())
    program = (
        "import sys; {0}\nfrom mt.aio.core import srun; from mt.aio.h5 import h5_load\n"
        "try: print(len(srun(h5_load, sys.argv[1], 'z')))\nexcept OSError as e: print(e)"
    )
    told = []
    for line in ("sys.modules['hdf5plugin'] = None", ""):
        command = [sys.executable, "-c", program.format(line), str(path)]
        environment = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        told.append(done.stdout.strip())
    assert "mt-aio-h5[plugins]" in told[0]
    assert told[1] == "100000"
