"""CreateFileH5 under faults: cancellation, killed writers, disks that take no more."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import types

import h5py
import numpy as np
import pytest

from mt.aio.core.lowlevel import submit
from mt.aio.h5 import CreateFileH5
from mt.aio.h5 import _draft as implementation
from mt.aio.h5._lane import LANE


@pytest.fixture
def path(tmp_path):
    """A target that has content already."""
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["old"] = [1, 2]
    return path


def _names(path):
    with h5py.File(path, "r") as file:
        return list(file)


@types.coroutine
def _suspend():
    yield


def _run_script(code, *args):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_cancelled_in_the_body(async_mode, path):
    """Cancellation in the body leaves the target and no temporary file."""

    async def body(context_vars):
        entered = asyncio.Event()

        async def write():
            async with CreateFileH5(path, context_vars=context_vars) as context:
                context.handle["new"] = [3]
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert os.listdir(path.parent) == ["file.h5"]

    async_mode.run(body)
    assert _names(path) == ["old"]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "step", [(m, n) for m in ("open", "finish", "abandon") for n in ("begun", "ended")]
)
def test_cancelled_while_a_worker_is_at_it(async_mode, path, monkeypatch, step, times):
    """The coroutine ends when the worker has: all or nothing, and nothing left behind."""
    method, moment = step
    reached, go_on = threading.Event(), threading.Event()
    plain = getattr(implementation.Draft, method)

    def gated(draft):
        if moment == "ended":
            plain(draft)
        reached.set()
        assert go_on.wait(30)
        if moment == "begun":
            plain(draft)

    monkeypatch.setattr(implementation.Draft, method, gated)

    async def body(context_vars):
        task = asyncio.create_task(_write(path, context_vars, fail=method == "abandon"))
        await asyncio.get_running_loop().run_in_executor(None, reached.wait, 30)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert os.listdir(path.parent) == ["file.h5"]

    async_mode.run(body)
    assert _names(path) == (["new"] if (method, moment) == ("finish", "ended") else ["old"])


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("method", ["open", "finish", "abandon"])
def test_cancelled_while_waiting_for_the_lane(async_mode, path, method, times):
    """Work that no thread has begun is withdrawn; removing the temporary file never is."""
    go_on = threading.Event()

    def hold_the_lane():
        return submit(go_on.wait, 30, order=LANE)

    async def body(context_vars):
        async def write():
            context = CreateFileH5(path, context_vars=context_vars)
            if method == "open":
                hold_the_lane()
            async with context:
                context.handle["new"] = [3]
                hold_the_lane()
                ready.set()
                if method == "abandon":
                    raise LookupError

        ready = asyncio.Event()
        task = asyncio.create_task(write())
        if method == "open":
            await asyncio.sleep(0)
        else:
            await ready.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert os.listdir(path.parent) == ["file.h5"]

    async_mode.run(body)
    assert _names(path) == ["old"]


async def _write(path, context_vars, *, fail):
    async with CreateFileH5(path, context_vars=context_vars) as context:
        context.handle["new"] = [3]
        if fail:
            raise LookupError


def test_a_closed_coroutine(async_mode, path):
    """A coroutine that is closed instead of cancelled removes its temporary file, too."""

    async def body(context_vars):
        context = await CreateFileH5(path, context_vars=context_vars).__aenter__()

        async def rest():
            try:
                await _suspend()
            except GeneratorExit as error:
                await context.__aexit__(type(error), error, None)
                raise

        coro = rest()
        coro.send(None)
        coro.close()
        assert os.listdir(path.parent) == ["file.h5"]

    async_mode.run(body)
    assert _names(path) == ["old"]


@pytest.mark.parametrize("what", ["fsync", "replace", "fchmod"])
def test_a_system_call_fails(mode, path, monkeypatch, what):
    """Errors while closing and publishing are raised; the target stays."""

    async def body(context_vars):
        async with CreateFileH5(path, context_vars=context_vars) as context:
            context.handle["new"] = [3]

            def fail(*args):
                raise OSError(5, "injected")

            monkeypatch.setattr(os, what, fail)

    with pytest.raises(OSError, match="injected"):
        mode.run(body)
    monkeypatch.undo()
    assert os.listdir(path.parent) == ["file.h5"]
    assert _names(path) == ["old"]


def test_h5py_cannot_open(mode, path, monkeypatch):
    """If HDF5 fails to open the temporary file, that is removed."""

    def fail(*args, **kwargs):
        raise OSError(5, "injected")

    monkeypatch.setattr(h5py, "File", fail)
    with pytest.raises(OSError, match="injected"):
        mode.run(_write, path, fail=False)
    assert os.listdir(path.parent) == ["file.h5"]


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
        print(type(error).__name__)
    left = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")[:-1]]
    print([x for x in left if ".mttmp" in x or "memfd" in x], os.listdir(os.path.dirname(path)))
    with CreateFileH5(path) as f:  # HDF5 is still sound
        f.handle["new"] = [3]
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("where", "error"), [("body", "ValueError"), ("end", "OSError")])
def test_the_disk_takes_no_more(path, where, error):
    """When HDF5 cannot write any more: an error, no leak, and no crash of the process later.

    A plain h5py close ends in a segmentation fault then, at the end of the process at the latest.
    """
    done = _run_script(_FULL, path, where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [error, "[] ['file.h5']"]
    assert _names(path) == ["new"]


_KILLED = """
    import os, signal, sys
    import h5py
    import numpy as np
    from mt.aio.h5 import CreateFileH5

    path, moment = sys.argv[1:]

    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

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
@pytest.mark.parametrize("moment", ["entered", "written", "flush", "close", "fsync", "replace"])
def test_killed_writer(path, moment):
    """A writer killed at any moment before the end leaves the old file whole."""
    done = _run_script(_KILLED, path, moment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert _names(path) == ["old"]
    temporary = [file for file in path.parent.iterdir() if file != path]
    assert len(temporary) == 1  # nobody is left who could have removed it
    temporary[0].unlink()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="HDF5 locks files on POSIX")
def test_no_lock_is_left(path):
    """A child process that has inherited the descriptor does not keep the file locked."""
    with CreateFileH5(path) as context:
        context.handle["new"] = [3]
        descriptor = context.handle.id.get_vfd_handle()
        os.set_inheritable(descriptor, True)
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        done = _run_script("import sys, h5py; h5py.File(sys.argv[1], 'r+').close()", path)
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
