"""Disks that take no more: the system's error, the old file, and a process that lives on.

When HDF5 could not write something, it tries again later; should that fail, too, when nobody can
be told (a dataset's last reference is dropped, the process ends), it crashes. Hence the processes.
"""

from __future__ import annotations

import errno
import os
import sys

import h5py
import numpy as np
import pytest

from mt.aio.h5 import CreateFileH5, OpenFileH5, h5_save

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the faults are POSIX'"),
]

DATA = np.random.default_rng(0).random((500, 400))  # 1.6 MB, which gzip makes little smaller

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


@pytest.fixture(scope="module")
def small_file_system(tmp_path_factory, mounted):
    """A file system of 512 KiB in memory."""
    folder = tmp_path_factory.mktemp("small")
    with mounted(folder, "512k"):
        yield folder


@pytest.fixture
def small(small_file_system):
    """That file system with an old file on it, and nothing else."""
    for file in small_file_system.iterdir():
        file.unlink()
    with h5py.File(small_file_system / "file.h5", "w") as file:
        file["old"] = [1, 2]
    return small_file_system


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
def test_full_disk(mode, small, write, options, names):
    """ENOSPC arrives with its number, however the data is written; the old file stays."""
    with pytest.raises(OSError, match="No space left on device") as caught:
        mode.run(write, small / "file.h5", OPTIONS[options])
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(small / "file.h5")
    assert os.listdir(small) == ["file.h5"]
    assert names(small / "file.h5") == ["old"]


def test_the_disk_has_room_again(mode, small, names):
    """The next writing, for which there is room, is not troubled."""
    with pytest.raises(OSError, match="No space left"):
        mode.run(_write, small / "file.h5", {})

    async def body(context_vars):
        async with CreateFileH5(small / "file.h5", context_vars=context_vars) as f:
            await f.write("new", DATA[:100])

    mode.run(body)
    assert names(small / "file.h5") == ["new"]


def test_error_that_the_body_keeps_to_itself(mode, small, names):
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
    assert names(small / "file.h5") == ["old"]


_LIMITED = """
    import asyncio, gc, os, resource, signal, sys
    import numpy as np
    from mt.aio.core import srun
    from mt.aio.h5 import CreateFileH5

    data = np.random.default_rng(0).random((200, 200))  # 320 kB

    async def write(path, way, options, context_vars):
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

    def main(path, way, options, mode):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        try:
            if mode == "async":
                asyncio.run(write(path, way, eval(options), {"async": True}))
            else:
                srun(write, path, way, eval(options))
        except OSError as error:
            print("end", error.errno)
        gc.collect()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        with CreateFileH5(path) as f:  # HDF5 is still sound
            f.handle["new"] = [3]
"""


@pytest.mark.parametrize(("way", "first"), [("write", 0), ("run", 1), ("list", 0)])
def test_file_that_may_not_grow(tmp_path, run_each, way, first, names):
    """Over RLIMIT_FSIZE it is EFBIG; with no reference left HDF5 ends in good order."""
    modes = ["sync", "async"]
    cases = [
        (tmp_path / f"{at}.h5", way, options, modes[at % 2])
        for at, options in enumerate(OPTIONS.values(), first)
    ]
    for done in run_each(_LIMITED, cases):
        assert done.returncode == 0, done
        assert done.stdout.splitlines() == [f"body {errno.EFBIG}", f"end {errno.EFBIG}"], done
        assert names(done.args[0]) == ["new"]


_FULL = """
    import os, sys
    import numpy as np
    from mt.aio.h5 import CreateFileH5

    def main(path, where):
        try:
            with CreateFileH5(path) as f:
                d = f.handle.create_dataset("x", (1000, 100), chunks=(100, 100), compression="gzip")
                # From here on every write to the file fails, as on a full disk.
                fd = os.open(f.tmp_filepath, os.O_RDONLY)
                os.dup2(fd, f.handle.id.get_vfd_handle())
                os.close(fd)
                d[:] = np.random.rand(1000, 100)
                if where == "body":
                    raise ValueError("body")
        except (OSError, ValueError) as error:
            print(type(error).__name__, getattr(error, "errno", None))
        left = [os.path.realpath(f"/proc/self/fd/{n}") for n in range(3, 100)]
        left = [x for x in left if ".mttmp" in x or x == os.devnull]
        print(left, os.listdir(os.path.dirname(path)))
        with CreateFileH5(path) as f:  # HDF5 is still sound
            f.handle["new"] = [3]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_dataset_of_the_handle(tmp_path, run_each, names):
    """A dataset filled through `handle` and kept until the end: an error, no leak, no crash."""
    errors = {"body": "ValueError None", "end": f"OSError {errno.EBADF}"}
    for where in errors:
        (tmp_path / where).mkdir()
    for done in run_each(_FULL, [(tmp_path / where / "file.h5", where) for where in errors]):
        assert done.returncode == 0, done
        assert done.stdout.splitlines() == [errors[done.args[1]], "[] []"], done
        assert names(done.args[0]) == ["new"]
