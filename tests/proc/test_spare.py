"""The child that the nursery forks ahead, once a program has asked for two."""

from __future__ import annotations

import os
import signal
import sys

import psutil
import pytest

from mt.aio.core import srun
from mt.aio.proc import _zygote

LIMIT = 10
pytestmark = pytest.mark.skipif(not _zygote.possible(), reason="needs pidfd")


@pytest.fixture
def spare(start, until):
    """Return what waits until there is a spare and gives its process id; it is none of `more`."""
    ours = [start(), start()]
    for process in ours:
        srun(process.send, (len, ""))
    nursery = _zygote.current()

    def spare(*more):
        def find():
            forked = {child.pid for child in psutil.Process(nursery.popen.pid).children()}
            others = forked - {process.pid for process in ours} - set(more)
            return others.pop() if len(others) == 1 else None  # some may be dying

        return until(find)

    return spare


def test_it_takes_the_request(mode, start, spare):
    """It is the next child, in every respect: it answers, and its end is told."""
    expected = spare()
    process = start()
    assert process.pid == expected
    assert mode.run(process.send, (len, "abc")) == 3
    with pytest.raises(RuntimeError, match="status 3"):
        mode.run(process.send, (os._exit, 3), recv_timeout=LIMIT)


def test_it_gets_the_world_as_it_is(start, spare, monkeypatch, tmp_path):
    """Not as it was when the spare was forked."""
    expected = spare()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MT_AIO_TEST", "set")
    monkeypatch.setattr(sys, "path", [*sys.path, "/a/place"])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start()
    finally:
        signal.signal(signal.SIGINT, before)

    def look():
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return os.getcwd(), os.environ["MT_AIO_TEST"], sys.path[-1], ignored

    assert process.pid == expected
    assert srun(process.send, (look,)) == (str(tmp_path), "set", "/a/place", True)


def test_it_has_nothing_of_its_brothers(start, spare):
    """The same descriptors are open as in a child that was forked on request."""

    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    killed = spare()
    os.kill(killed, signal.SIGKILL)
    by_request = start()
    expected = spare(by_request.pid, killed)
    by_spare = start()
    assert by_spare.pid == expected
    counts = [srun(process.send, (descriptors,)) for process in (by_request, by_spare)]
    assert counts[0] == counts[1]


def test_it_is_killed_before_it_is_asked(start, spare):
    """The nursery takes the request."""
    pid = spare()
    os.kill(pid, signal.SIGKILL)
    process = start()
    assert process.pid != pid
    assert srun(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
    assert spare(process.pid, pid)


def test_it_is_killed_with_a_request_before_it(start, spare):
    """A request that it has not taken is not lost."""
    pid = spare()
    os.kill(pid, signal.SIGSTOP)
    process = start()
    os.kill(pid, signal.SIGKILL)
    assert srun(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
    assert process.pid != pid


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_nursery_is_killed_before_it_hears(mode, start, spare, until, *, gone, when):
    """The spare has told the parent its process id itself: it answers, and its end is noticed."""
    expected = spare()
    nursery = _zygote.current().popen.pid
    os.kill(nursery, signal.SIGSTOP)
    if when == "before":  # it takes the request
        os.kill(expected, signal.SIGSTOP)
    process = start()
    if when == "after":
        assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
    os.kill(nursery, signal.SIGKILL)
    until(lambda: gone(nursery))
    os.kill(expected, signal.SIGCONT)
    assert mode.run(process.send, (os.getpid,), recv_timeout=LIMIT) == expected == process.pid
    with pytest.raises(RuntimeError, match="is gone") as caught:
        mode.run(process.send, (os._exit, 3), recv_timeout=LIMIT)
    assert caught.value.exitcode is None


@pytest.mark.parametrize("asked", ["before", "after"])
def test_a_nursery_that_is_stopped_when_its_child_ends(mode, start, spare, monkeypatch, asked):
    """The end is noticed all the same, though nobody can tell how: `close` does not hang."""
    from mt.aio.proc._relay import Relay

    monkeypatch.setattr(Relay, "patience", 0.1)
    expected = spare()
    nursery = _zygote.current().popen.pid
    if asked == "after":
        os.kill(nursery, signal.SIGSTOP)
    process = start()
    assert process.pid == expected
    os.kill(nursery, signal.SIGSTOP)
    try:
        mode.run(process.aclose, 0)
        assert process._link.ended
        assert process.exitcode is None
    finally:
        os.kill(nursery, signal.SIGCONT)


_PROGRAM = """
    import time, psutil
    from mt.aio.core import srun
    from mt.aio.proc import BgProcess, _zygote
    processes = [BgProcess() for _ in range({count})]
    for process in processes:
        srun(process.send, 1)
    nursery = psutil.Process(_zygote.current().popen.pid)
    deadline = time.monotonic() + {seconds}
    while len(nursery.children()) == {count} and time.monotonic() < deadline:
        time.sleep(0.001)
    print(*[child.pid for child in nursery.children()], flush=True)
"""


def test_one_child_has_no_spare(run_program):
    """Most programs have one child; they do not pay for another."""
    out = run_program(_PROGRAM.format(count=1, seconds=0.05))
    assert len(out.split()) == 1


@pytest.mark.slow
def test_it_goes_with_the_program(run_program):
    """Nothing is left when a program ends."""
    out = run_program(_PROGRAM.format(count=2, seconds=10))
    assert [psutil.pid_exists(int(pid)) for pid in out.split()] == [False] * 3


@pytest.mark.slow
def test_it_goes_with_a_killed_program(live_program, until, gone):
    """However that ends."""
    parent, pids = live_program(_PROGRAM.format(count=2, seconds=10) + "    time.sleep(600)\n")
    assert len(pids) == 3
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: all(map(gone, pids)))
