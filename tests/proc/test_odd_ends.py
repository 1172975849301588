"""Ends of a child that are no mere deaths: somebody holds on to it, or it to itself.

A hang is the failure, as in the tests of deaths.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from mt.aio.core import srun
from mt.aio.proc import lowlevel

LIMIT = 10


def test_an_exhausted_memory(mode, start):
    """A MemoryError is an exception like others; the child lives."""

    def exhaust():
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, hard))
        try:
            return bytes(1 << 32)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    process = start()
    with pytest.raises(RuntimeError) as caught:
        mode.run(process.send, (exhaust,))
    assert isinstance(caught.value.__cause__, MemoryError)
    assert mode.run(process.send, (len, "abc")) == 3


def test_a_grandchild_that_keeps_everything_open(mode, start):
    """A fork of the child holds all its descriptors; the child's death is noticed all the same."""
    process = start()

    def forks():
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        return pid

    grandchild = mode.run(process.send, (forks,))
    kill = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731 - it has to travel by value
    try:
        with pytest.raises(RuntimeError, match="SIGKILL"):
            mode.run(process.send, (kill,), recv_timeout=LIMIT)
    finally:
        os.kill(grandchild, signal.SIGKILL)


def test_an_exit_that_does_not_come(mode, start):
    """sys.exit in a child that has a thread of its own: it cannot reply, so it is put an end to."""

    def exits():
        threading.Thread(target=signal.sigwait, args=([signal.SIGUSR2],)).start()
        sys.exit(3)

    process = start()
    with pytest.raises(RuntimeError) as caught:
        mode.run(process.send, (exits,), recv_timeout=LIMIT)
    assert isinstance(caught.value, lowlevel.ChildDiedError)


def test_a_child_that_closes_everything(mode, start):
    """A handler that closes descriptors at large, as libraries for daemons do."""

    def close():
        os.closerange(3, 256)

    process = start()
    with pytest.raises(lowlevel.ChildDiedError):
        mode.run(process.send, (close,), recv_timeout=LIMIT)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1, signal.SIGRTMIN + 1])
def test_signals_with_and_without_names(start, signum):
    """The error names the signal, or gives its number."""
    process = start()
    srun(process.send, (len, ""))
    os.kill(process.pid, signum)
    with pytest.raises(RuntimeError, match=getattr(signum, "name", str(int(signum)))):
        srun(process.send, (signal.pause,), recv_timeout=LIMIT)


def test_the_system_killed_it(mode, start, monkeypatch, tmp_path):
    """Where the system's own count of such deaths has grown, each error says so."""
    from mt.aio.proc import _oom

    count = tmp_path / "vmstat"
    count.write_text("pgfault 5\noom_kill 3\n")
    monkeypatch.setattr(_oom, "_WHERE", str(count))
    monkeypatch.setattr(_oom, "_last", None)
    process = start()
    mode.run(process.send, (len, ""))
    count.write_text("pgfault 5\noom_kill 4\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="has just killed 1 for want of memory"):
            mode.run(process.send, (os.kill, process.pid, signal.SIGKILL), recv_timeout=LIMIT)
