"""CreateFileH5: killed writers, locks, and many writers of one target."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest

from mt.aio.h5 import CreateFileH5

_KILLED = """
    import os, signal, sys
    import h5py
    import numpy as np
    from mt.aio.h5 import CreateFileH5

    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    def main(path, moment):
        with CreateFileH5(path, durability="full") as f:
            if moment == "entered":
                die()
            f.handle.create_dataset("x", data=np.random.rand(1000, 100), chunks=(100, 100))
            if moment == "written":
                die()
            if moment in {"flush", "close"}:
                setattr(h5py.File, moment, die)
            if moment in {"fsync", "replace"}:
                setattr(os, moment, die)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_writer(path, run_each, names):
    """A writer killed at any moment before the end leaves the old file whole."""
    moments = ["entered", "written", "flush", "close", "fsync", "replace"]
    for done in run_each(_KILLED, [(path, moment) for moment in moments]):
        assert done.returncode == -signal.SIGKILL, done
        assert names(path) == ["old"], done.args
    temporary = [file for file in path.parent.iterdir() if file != path]
    assert len(temporary) == len(moments)  # nobody is left who could have removed them
    for file in temporary:
        file.unlink()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="HDF5 locks files on POSIX")
def test_no_lock_is_left(path, run_script):
    """A child process that has inherited the descriptor does not keep the file locked."""
    with CreateFileH5(path) as context:
        context.handle["new"] = [3]
        descriptor = context.handle.id.get_vfd_handle()
        os.set_inheritable(descriptor, True)
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        done = run_script("import sys, h5py; h5py.File(sys.argv[1], 'r+').close()", path)
        assert done.returncode == 0, done.stderr
    finally:
        child.communicate()


@pytest.mark.slow
def test_concurrent_writers_and_a_reader(async_mode, path):
    """Many writers of one target: at every instant it is there and whole."""

    async def body(context_vars):
        stop = threading.Event()

        def read():
            count, last = 0, False
            while not last:
                last = stop.is_set()
                with h5py.File(path, "r") as file:
                    if "x" in file:
                        values = file["x"][:]
                        assert (values == values[0]).all()
                        count += 1
            return count

        async def write(number):
            async with CreateFileH5(path, context_vars=context_vars) as context:
                await context.run(context.handle.create_dataset, "x", data=np.full(10_000, number))

        reading = asyncio.get_running_loop().run_in_executor(None, read)
        await asyncio.gather(*(write(number) for number in range(40)))
        stop.set()
        assert await reading > 0

    async_mode.run(body)
    assert os.listdir(path.parent) == ["file.h5"]
