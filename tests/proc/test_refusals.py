"""What each part does when the system, or the other side, refuses what it asks for."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mt.aio.proc import _child, _memory, _nursery, _oom, _start, _zygote
from mt.aio.proc._frames import LARGE, RETURNED, Frame
from mt.aio.proc._handle import Own
from mt.aio.proc._loops import LoopListener, LoopWaiter
from mt.aio.proc._pickling import dumps, loads

BIG = [bytes(LARGE)]
LIMIT = 10


@pytest.fixture
def memory():
    """One end of shared memory, and the socket through which the other would hear of it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    memory = _memory.Memory(ours)
    with ours, theirs:
        yield memory
        memory.close()


def refuse(*_args, **_kwargs):
    """Be the system call that fails."""
    raise OSError(errno.EMFILE, "refused")


def refuse_thread(_thread):
    """Be the interpreter that is about to end."""
    raise RuntimeError("can't start new thread at interpreter shutdown")


@pytest.mark.parametrize("call", ["os.truncate", "send"])
def test_shared_memory_that_cannot_be_had_now(memory, monkeypatch, call):
    """The buffers go through the socket, no descriptor is left, and the next ones are shared."""
    with monkeypatch.context() as patch:
        patch.setattr(f"mt.aio.proc._memory.{call}", refuse)
        assert memory.take(BIG) is None
    region = memory.take(BIG)
    assert region.size >= LARGE
    memory.release(region.number)


def test_shared_memory_that_cannot_be_had_at_all(memory, monkeypatch):
    """Who cannot make any does not try again."""
    monkeypatch.setattr(_memory, "_unnamed", refuse)
    assert memory.take(BIG) is None
    monkeypatch.undo()
    assert memory.take(BIG) is None


def test_memory_that_nobody_knows(memory):
    """A region that is none of ours is not taken back; a frame without one stays as it is."""
    memory.release(99)
    frame = Frame(RETURNED, 1, [b"x"])
    memory.place(frame)
    assert frame.segments == [b"x"]


def test_a_child_whose_parent_goes_while_it_starts():
    """It ends, quietly, when the channel ends before its world has been told."""
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    os.close(writer)
    with pytest.raises(SystemExit) as ended:
        _child._read(reader, 8)
    assert ended.value.code == 1
    os.close(reader)


def test_a_nursery_that_cannot_be_started():
    """The error is passed on, and no descriptor is left."""
    with pytest.raises(OSError, match="refused"):
        _zygote.Nursery(refuse, 1, 2, b"")


def test_a_nursery_that_does_not_end(monkeypatch):
    """It is killed, so that the interpreter can end."""
    monkeypatch.setattr(_zygote, "PATIENCE", 0.05)
    program = "import time; time.sleep(60)"
    nursery = _zygote.Nursery(
        lambda *_: subprocess.Popen([sys.executable, "-c", program]), 1, 2, b""
    )
    nursery.close()
    assert nursery.popen.returncode == -signal.SIGKILL


def test_a_nursery_that_takes_no_more_requests(monkeypatch):
    """A fresh interpreter is started instead: no nursery is told of."""
    nursery = SimpleNamespace(
        popen=SimpleNamespace(poll=lambda: None), fit=lambda: True, request=refuse
    )
    monkeypatch.setattr(_zygote, "_current", nursery)
    assert _zygote.ask([], lambda: pytest.fail("there is one already")) is None


def test_a_request_that_lost_descriptors():
    """A nursery that could not take all descriptors starts nothing."""
    with pytest.raises(OSError, match="no room"):
        _nursery._all([1, 2, 3])


def test_the_children_of_nobody():
    """A process that has gone has no descendants."""
    assert _nursery._descendants(2**22 + 1) == []


@pytest.mark.skipif(not _zygote.possible(), reason="needs pidfd")
def test_a_nursery_without_cloudpickle(run_program, tmp_path):
    """Where it cannot be imported the children do without, and the nursery goes on."""
    (tmp_path / "cloudpickle.py").write_text("open('tried', 'x').close()\nraise ImportError\n")
    out = run_program("""
        import sys, types
        sys.modules["cloudpickle"] = types.ModuleType("cloudpickle")  # so it is to be prepared
        from mt.aio.core import srun
        from mt.aio.proc import BgProcess, _zygote
        nurseries = []
        for _ in range(2):  # it takes the second request after that
            with BgProcess() as process:
                nurseries.append(_zygote.current().popen.pid)
                srun(process.send, 1)
        print(len(set(nurseries)), _zygote.current().popen.poll())
    """)
    assert (tmp_path / "tried").exists()
    assert out == "1 None\n"


@pytest.fixture
def own():
    """A process of our own that goes on until it is killed, and its handle."""
    popen = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    handle = Own(popen)
    yield popen, handle
    popen.kill()
    popen.wait()
    handle.close()


def test_a_child_of_its_own_is_killed(own):
    """The handle of a fresh interpreter kills it, tells when it has ended, and says how."""
    _, handle = own
    assert not handle.ended()
    handle.kill()
    assert select.select([handle.watched], [], [], LIMIT)[0]
    assert (handle.ended(), handle.returncode) == (True, -signal.SIGKILL)


def test_a_child_of_its_own_whose_status_somebody_else_took(own):
    """It has ended, and nobody knows how: the system tells only the first who asks."""
    popen, handle = own
    handle.kill()
    popen.wait()
    assert (handle.ended(), handle.returncode) == (True, None)


def test_a_system_that_does_not_count(monkeypatch, tmp_path):
    """Where the system counts no killed processes, none is taken for killed by it."""
    monkeypatch.setattr(_oom, "_WHERE", str(tmp_path / "missing"))
    monkeypatch.setattr(_oom, "_last", 5)
    assert _oom.since_last() == 0


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ({"isolated": 1, "ignore_environment": 1}, ["-I"]),
        ({"ignore_environment": 1, "no_site": 1}, ["-E", "-S"]),
        ({"optimize": 2}, ["-OO"]),
        ({"bytes_warning": 1, "utf8_mode": 1, "dev_mode": True}, ["-b", "-X", "utf8", "-X", "dev"]),
    ],
)
def test_the_interpreter_s_options_are_passed_on(monkeypatch, flags, options):
    """A child runs with those options of its parent that decide what its code means."""
    none = {name: 0 for name in dir(sys.flags) if not name.startswith("_")}
    monkeypatch.setattr(_start.sys, "flags", SimpleNamespace(**none | flags))
    monkeypatch.setattr(_start.sys, "dont_write_bytecode", False)
    monkeypatch.setattr(_start.sys, "warnoptions", [])
    assert _start._options() == ["-P", *options]


def test_an_end_that_no_thread_can_see_to(start, until, gone, tmp_path, monkeypatch):
    """At the interpreter's end, when no thread can be started, the child is killed at once."""
    process = start()
    begun = tmp_path / "begun"

    def work():
        import time

        begun.touch()
        time.sleep(60)

    async def main():
        sending = asyncio.ensure_future(process.send((work,), context_vars={"async": True}))
        await asyncio.sleep(0)
        while not begun.exists():
            await asyncio.sleep(0.001)
        with monkeypatch.context() as patch:
            patch.setattr("threading.Thread.start", refuse_thread)
            process.close(60)  # in a thread of its own, were there one
        with pytest.raises(RuntimeError, match="closed by this program"):
            await sending

    asyncio.run(main())
    until(lambda: gone(process.pid))


@pytest.mark.parametrize("waiter", [LoopWaiter, LoopListener])
def test_a_reply_for_a_loop_that_is_closed(waiter):
    """It is dropped: nobody waits any more."""
    attached = []

    async def wait():
        return waiter(SimpleNamespace(attach=attached.append))

    waiting = asyncio.run(wait())
    assert len(attached) == 1
    waiting.settle(Frame(RETURNED, 1, []))


def test_a_reply_that_comes_too_late():
    """Whoever has been cancelled is told nothing, from the loop's thread or from another."""

    async def main():
        waiting = LoopWaiter(SimpleNamespace(attach=lambda loop: None))
        waiting._future.cancel()
        waiting.settle(Frame(RETURNED, 1, []))
        waiting._set(Frame(RETURNED, 1, []))
        assert waiting._future.cancelled()

    asyncio.run(main())


def test_a_buffer_that_is_not_contiguous():
    """It cannot travel beside the pickle, and travels in it."""
    np = pytest.importorskip("numpy")
    array = np.arange(2 * LARGE, dtype="u1")[::2]
    segments = dumps(array)
    assert (loads(segments) == array).all()
