"""Every public asyn function, of the facade and of the pieces, has `sync` and `aio`."""

from __future__ import annotations

import importlib
import inspect
import pickle
import queue
import subprocess
import sys

import pytest

import mt.aio
from mt.aio import BgProcess, open_file, qget_aio, qput_aio
from mt.aio.proc import BgProcessPool

# They hand the mode on to a function that they are given, and are in one themselves.
RUNNERS = {"arun", "AprocManager.spawn"}
# `qput_aio` and `qget_aio`, which have both ways, ask for plain methods as other queues have them.
METHODS = {"DaskQueue.put", "DaskQueue.get"}
PLACES = ("", ".core", ".fs", ".h5", ".proc", ".manager", ".remote", ".dask")


def _asyn_functions():
    """Walk the public names, and the public methods of public classes."""
    found = {}
    for place in PLACES:
        module = importlib.import_module(f"mt.aio{place}")
        for name in module.__all__:
            thing = getattr(module, name)
            members = {name: thing}
            if inspect.isclass(thing):
                members = {f"{name}.{key}": getattr(thing, key) for key in dir(thing)}
            for key, member in members.items():
                if key not in RUNNERS | METHODS and "._" not in key and _takes_a_mode(member):
                    found[f"{module.__name__}.{key}"] = member
    return found


def _takes_a_mode(member):
    return inspect.isfunction(member) and "context_vars" in inspect.signature(member).parameters


FUNCTIONS = _asyn_functions()


def test_the_walk_finds_them():
    """Functions and methods of all pieces are among them, asynchronous generators as well."""
    some = {"read_text", "sleep", "open_file", "qput_aio", "BgProcess.send", "BgProcess.stream"}
    assert {f"mt.aio.{name}" for name in some} <= {*FUNCTIONS}
    assert {"mt.aio.core.amap", "mt.aio.fs.walk", "mt.aio.h5.h5_save"} <= {*FUNCTIONS}
    assert {"mt.aio.proc.BgProcessPool.map", "mt.aio.core.timeout"} <= {*FUNCTIONS}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_it_has_both_ways(name):
    """Both take what the function takes, but for the mode, and can be pickled."""
    func = FUNCTIONS[name]
    wanted = [key for key in inspect.signature(func).parameters if key != "context_vars"]
    for way in (func.sync, func.aio):
        assert list(inspect.signature(way).parameters) == wanted
        assert way.__module__ == func.__module__
        assert pickle.loads(pickle.dumps(way)) is way


def test_the_methods_of_a_process(async_mode):
    """`send`, `stream` and `aclose` are bound to the process, in either way."""

    async def body(context_vars):
        process = BgProcess()
        assert await process.send.aio(3) == 3
        assert [part async for part in process.stream.aio(4)] == [4]
        await process.aclose.aio()

    async_mode.run(body)
    with BgProcess() as process:
        assert process.send.sync(3, recv_timeout=30) == 3
        assert list(process.stream.sync(4)) == [4]
        process.aclose.sync()
        assert process.exitcode == 0


def test_the_methods_of_a_pool():
    """`send`, `map` and `aclose` are bound to the pool."""
    with BgProcessPool(BgProcess, 2) as pool:
        assert pool.send.sync(3) == 3
        assert list(pool.map.sync([1, 2, 3])) == [1, 2, 3]
        pool.aclose.sync()


def test_an_overridden_send():
    """A class of the user's may override `send`, and go on to ours."""

    class Doubled(BgProcess):
        async def send(self, msg, **kwargs):
            return 2 * await super().send(msg, **kwargs)

    with Doubled() as process:
        assert mt.aio.srun(process.send, 3) == 6


def test_queues():
    """Plain code puts and gets."""
    q = queue.Queue(1)
    qput_aio.sync(q, 3)
    with pytest.raises(queue.Full):
        qput_aio.sync(q, 4, block=False)
    assert qget_aio.sync(q) == 3


def test_open_file_in_plain_code(tmp_path):
    """The handle is the file object itself, text is UTF-8, and the file is closed at the end."""
    with open_file.sync(tmp_path / "note.txt", "w") as file:
        file.write("\N{DEGREE SIGN}")
    assert file.closed
    with open_file.sync(tmp_path / "note.txt") as file:
        assert list(file) == ["\N{DEGREE SIGN}"]
    assert (tmp_path / "note.txt").read_bytes() == b"\xc2\xb0"


def test_a_plain_with_on_open_file_in_asynchronous_mode(tmp_path):
    """It would block the event loop, and is refused."""
    opened = open_file(tmp_path / "note.txt", "w", context_vars={"async": True})
    with pytest.raises(TypeError, match="for an 'async with'"), opened:
        pass
    assert not (tmp_path / "note.txt").exists()


@pytest.mark.slow
def test_a_child_does_not_load_core():
    """The class of a child's object has both ways, and yet the child loads nothing for them."""
    code = "import sys, mt.aio.proc; print('mt.aio.core' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=True, capture_output=True).stdout.strip() == b"False"
