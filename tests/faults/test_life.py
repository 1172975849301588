"""Forks, loops that come and go, and the interpreter's end."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest

from mt.aio.core import _pool
from mt.aio.fs import read_binary, write_binary

ASYNC = {"async": True}


async def use(path, content=b"content"):
    """Write and read back."""
    await write_binary(path, content, context_vars=ASYNC, durability="none")
    assert await read_binary(path, context_vars=ASYNC) == content


def fork():
    """Fork; that there are threads, which Python 3.12 and later warn of, is the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


@pytest.mark.parametrize("where", ["no loop", "a loop"])
def test_fork_after_use(tmp_path, where):
    """After os.fork, also from within a running loop, offloading works in child and parent."""

    def child():
        code = 1
        try:
            if where == "a loop":
                asyncio._set_running_loop(None)  # the parent's, which the child has left
            asyncio.run(use(tmp_path / "child", b"child"))
            assert not (tmp_path / "twice").exists()
            code = 0
        finally:
            os._exit(code)

    async def main():
        await use(tmp_path / "parent")
        if where == "a loop":
            pid = fork()
            if not pid:
                child()
            await use(tmp_path / "parent", b"again")
            return pid
        return None

    pid = asyncio.run(main())
    if pid is None:
        pid = fork()
        if not pid:
            child()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (tmp_path / "child").read_bytes() == b"child"
    asyncio.run(use(tmp_path / "parent", b"at last"))


def test_fork_while_jobs_wait(tmp_path):
    """A child forked while jobs are under way does not do them a second time, nor wait for them."""
    gate = threading.Event()

    async def main():
        from mt.aio.core.lowlevel import submit

        futures = [submit(gate.wait, 20) for _ in range(8)]
        pid = fork()
        if not pid:
            code = 1
            try:
                asyncio._set_running_loop(None)
                asyncio.run(use(tmp_path / "child"))
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        gate.set()
        assert all(await asyncio.gather(*futures))

    asyncio.run(main())


def _in_child(path):
    asyncio.run(use(path))


@pytest.mark.slow
def test_multiprocessing_fork(tmp_path):
    """Children of multiprocessing's fork method offload, and end."""
    asyncio.run(use(tmp_path / "parent"))
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        children = [context.Process(target=_in_child, args=(tmp_path / f"{i}",)) for i in range(4)]
        for child in children:
            child.start()
    for child in children:
        child.join(20)
    assert [child.exitcode for child in children] == [0] * 4
    for child in children:
        child.close()


@pytest.mark.slow
def test_a_thousand_loops(tmp_path):
    """After asyncio.run a thousand times there are as few threads as after the first."""
    asyncio.run(use(tmp_path / "file"))
    before = set(threading.enumerate())  # those of pools that other tests had, too
    for _ in range(1000):
        asyncio.run(use(tmp_path / "file"))
    assert len(set(threading.enumerate()) - before) <= _pool.BASE  # and one that watches, if new


@pytest.mark.slow
def test_many_loops_in_many_threads(tmp_path):
    """Loops in 16 threads at once: every completion arrives, in its own loop."""
    errors = []

    def work(number):
        async def main():
            await asyncio.gather(*(use(tmp_path / f"{number}-{i}") for i in range(20)))

        try:
            for _ in range(5):
                asyncio.run(main())
        except BaseException as exc:  # noqa: BLE001 - reported below
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def test_loop_closed_early(tmp_path, caplog):
    """A loop that is closed while delayed writes are pending loses none, and names what fails."""
    gate = threading.Event()
    missing = tmp_path / "missing" / "file"

    async def main():
        from mt.aio.core.lowlevel import submit

        for _ in range(40):  # more than there are ever threads: no write begins before the close
            submit(gate.wait, 20)
        for i in range(20):
            await write_binary(tmp_path / f"{i}", b"x", 0o664, ASYNC, True)
        await write_binary(missing, b"x", 0o664, ASYNC, True)

    asyncio.run(main())
    assert os.listdir(tmp_path) == []
    with caplog.at_level(logging.ERROR, logger="mt.aio.core"):
        gate.set()
        deadline = time.monotonic() + 20
        done = [tmp_path / f"{i}" for i in range(20)]
        while not (caplog.records and all(path.exists() for path in done)):
            assert time.monotonic() < deadline
            asyncio.run(use(tmp_path / "other"))
    assert all((tmp_path / f"{i}").read_bytes() == b"x" for i in range(20))
    [record] = caplog.records
    assert str(missing) in record.getMessage()
    assert record.exc_info[0] is FileNotFoundError


END = """
    import asyncio, logging, sys, threading, time
    from mt.aio.core import _pool
    from mt.aio.core.lowlevel import offload, submit
    from mt.aio.fs import write_binary
    from mt.aio.fs.lowlevel import order_key

    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    folder, what = sys.argv[1:]
    vars = {"async": True}

    async def main():
        if what == "abandoned read":
            job = offload(time.sleep, 60, context_vars=vars, abandon_on_cancel=True)
            await asyncio.wait([asyncio.ensure_future(job)], timeout=0.05)
        elif what == "fails":
            path = folder + "/missing/file"
            submit(gate.wait, order=order_key(path))  # or the loop may live to see the error
            await write_binary(path, b"x", 0o664, vars, True)
        elif what == "never ends":
            _pool.EXIT_PATIENCE = 0.2
            submit(time.sleep, 60, order=folder + "/file")
        else:
            for i in range(100):
                await write_binary(f"{folder}/{i}", b"x", 0o664, vars, True)

    gate = threading.Event()
    asyncio.run(main(), debug=False)  # debug mode says which steps took long
    gate.set()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("abandoned read", ""),
        ("pending", ""),
        ("fails", "missing/file failed after its event loop was closed"),
        ("never ends", "not finished 0.2 s after the end: {folder}/file"),
    ],
)
def test_interpreter_exit(tmp_path, what, said):
    """The interpreter ends, with all that was promised done or named."""
    command = [sys.executable, "-c", textwrap.dedent(END), str(tmp_path), what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert said.format(folder=tmp_path) in done.stdout
    assert bool(done.stdout) == bool(said)
    assert len(os.listdir(tmp_path)) == (100 if what == "pending" else 0)
