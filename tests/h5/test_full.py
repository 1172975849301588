"""Disks that take no more: the system's error, the old file, and a process that lives on.

When HDF5 could not write something, it tries again later; should that fail, too, when nobody can
be told (a dataset's last reference is dropped, the process ends), it crashes. Hence the processes.
"""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest

from mt.aio.h5 import CreateFileH5, OpenFileH5, h5_save

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the faults are POSIX'"),
]

DATA = np.random.default_rng(0).random((700, 500))  # 2.8 MB, which gzip makes little smaller

CHUNKS = {"chunks": (100, 100)}
OPTIONS = {
    "contiguous": {},
    "chunks": CHUNKS,
    "tiny chunks": {"chunks": (10, 10)},
    "gzip": {**CHUNKS, "compression": "gzip", "shuffle": True},
    "lzf": {**CHUNKS, "compression": "lzf"},
    "checksum": {**CHUNKS, "compression": "gzip", "fletcher32": True},
    "another type": {**CHUNKS, "dtype": "f4"},
}


@pytest.fixture
def small(tmp_path):
    """A file system of 1 MiB in memory, with an old file on it."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.strip()}")
    with h5py.File(folder / "file.h5", "w") as file:
        file["old"] = [1, 2]
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _names(path):
    with h5py.File(path, "r") as file:
        return list(file)


async def _write(path, options, context_vars):
    async with CreateFileH5(path, context_vars=context_vars) as f:
        await f.write("x", DATA, **options)


async def _append(path, options, context_vars):
    async with OpenFileH5(path, "a", context_vars) as f:
        await f.write("x", DATA, **options)


async def _save(path, options, context_vars):
    await h5_save(path, {"g": {"x": DATA}}, context_vars=context_vars, **options)


async def _run(path, options, context_vars):
    async with CreateFileH5(path, context_vars=context_vars) as f:
        await f.run(f.handle.create_dataset, "x", data=DATA, **options)


async def _handle(path, options, context_vars):
    async with CreateFileH5(path, context_vars=context_vars) as f:
        kept = f.handle.create_dataset("x", data=DATA, **options)
        assert kept


async def _list(path, options, context_vars):
    async with CreateFileH5(path, context_vars=context_vars) as f:
        await f.write("x", DATA.tolist(), **options)


WRITERS = [_write, _append, _save, _run, _handle, _list]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("write", WRITERS)
def test_full_disk(mode, small, write, options):
    """ENOSPC arrives with its number, however the data is written; the old file stays."""
    with pytest.raises(OSError, match="No space left on device") as caught:
        mode.run(write, small / "file.h5", OPTIONS[options])
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(small / "file.h5")
    assert os.listdir(small) == ["file.h5"]
    assert _names(small / "file.h5") == ["old"]


def test_the_disk_has_room_again(mode, small):
    """The next writing, for which there is room, is not troubled."""
    with pytest.raises(OSError, match="No space left"):
        mode.run(_write, small / "file.h5", {})

    async def body(context_vars):
        async with CreateFileH5(small / "file.h5", context_vars=context_vars) as f:
            await f.write("new", DATA[:100])

    mode.run(body)
    assert _names(small / "file.h5") == ["new"]


def test_error_that_the_body_keeps_to_itself(mode, small):
    """A file that could not be written once is given up: the error comes again, in and after."""

    async def body(context_vars):
        async with CreateFileH5(small / "file.h5", context_vars=context_vars) as f:
            for work in (f.write("x", DATA), f.write("y", [1]), f.read("y"), f.run(len, f.handle)):
                with pytest.raises(OSError, match="No space left") as caught:
                    await work
                assert caught.value.errno == errno.ENOSPC

    with pytest.raises(OSError, match="No space left") as caught:
        mode.run(body)
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(small) == ["file.h5"]
    assert _names(small / "file.h5") == ["old"]


_LIMITED = """
    import asyncio, gc, os, resource, signal, sys
    import numpy as np
    from mt.aio.core import srun
    from mt.aio.h5 import CreateFileH5

    path, way, options, mode = sys.argv[1:]
    options = eval(options)
    data = np.random.default_rng(0).random((1000, 500))

    async def write(context_vars):
        async with CreateFileH5(path, context_vars=context_vars) as f:
            try:
                if way == "write":
                    await f.write("x", data, **options)
                elif way == "run":
                    await f.run(f.handle.create_dataset, "x", data=data, **options)
                else:
                    await f.write("x", data.tolist(), **options)
            except OSError as error:
                print("body", error.errno)
            gc.collect()  # no reference to a dataset is left

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with CreateFileH5(path + ".warm"):
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        if mode == "async":
            asyncio.run(write({"async": True}))
        else:
            srun(write)
    except OSError as error:
        print("end", error.errno)
    gc.collect()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    with CreateFileH5(path) as f:  # HDF5 is still sound
        f.handle["new"] = [3]
"""


def _run_script(code, *args):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("way", "options", "mode_name"),
    [
        (way, options, "async" if at % 2 else "sync")
        for at, (way, options) in enumerate(itertools.product(("write", "run", "list"), OPTIONS))
    ],
)
def test_file_that_may_not_grow(tmp_path, way, options, mode_name):
    """Over RLIMIT_FSIZE it is EFBIG; with no reference left HDF5 ends in good order."""
    path = tmp_path / "file.h5"
    done = _run_script(_LIMITED, path, way, OPTIONS[options], mode_name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"body {errno.EFBIG}", f"end {errno.EFBIG}"]
    assert _names(path) == ["new"]


_FULL = """
    import os, sys
    import numpy as np
    from mt.aio.h5 import CreateFileH5

    path, in_body = sys.argv[1], sys.argv[2] == "body"
    try:
        with CreateFileH5(path) as f:
            d = f.handle.create_dataset("x", (1000, 100), chunks=(100, 100), compression="gzip")
            # From here on every write to the file fails, as on a full disk.
            fd = os.open(f.tmp_filepath, os.O_RDONLY)
            os.dup2(fd, f.handle.id.get_vfd_handle())
            os.close(fd)
            d[:] = np.random.rand(1000, 100)
            if in_body:
                raise ValueError("body")
    except (OSError, ValueError) as error:
        print(type(error).__name__, getattr(error, "errno", None))
    left = [os.path.realpath(f"/proc/self/fd/{n}") for n in range(3, 100)]
    print([x for x in left if ".mttmp" in x or x == os.devnull], os.listdir(os.path.dirname(path)))
    with CreateFileH5(path) as f:  # HDF5 is still sound
        f.handle["new"] = [3]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("where", "error"), [("body", "ValueError None"), ("end", f"OSError {errno.EBADF}")]
)
def test_dataset_of_the_handle(tmp_path, where, error):
    """A dataset filled through `handle` and kept until the end: an error, no leak, no crash."""
    path = tmp_path / "file.h5"
    done = _run_script(_FULL, path, where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [error, "[] []"]
    assert _names(path) == ["new"]
