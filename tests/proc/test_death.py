"""Every way in which a child can die: all who wait are told at once, and how it was.

A hang is the failure. The bound on each wait is generous only for machines under load: nothing
here waits for a time to pass.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import pytest

from mt.aio.core import srun
from mt.aio.proc import lowlevel

LIMIT = 10


@pytest.fixture(params=["SIGKILL", "SIGSEGV", "SIGABRT", "_exit", "sys.exit"])
def death(request):
    """Give a function that dies, what the error says, and the exit code."""
    how = request.param

    def die(last_words=b""):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(2, last_words)
        if how == "_exit":
            os._exit(3)
        if how == "sys.exit":
            sys.exit(3)
        if how == "SIGABRT":
            os.abort()
        os.kill(os.getpid(), getattr(signal, how))
        signal.pause()

    if how in ("_exit", "sys.exit"):
        return die, "exited with status 3", 3
    return die, f"was killed by {how}", -getattr(signal, how)


def _check(error, text, code):
    assert isinstance(error, RuntimeError)
    assert isinstance(error, lowlevel.ChildDiedError)
    assert text in str(error)
    assert error.exitcode == code


def test_during_a_message(mode, start, death):
    """Reference, send: RuntimeError if the child is not alive while processing the message.

    It says how it died and what it printed last; later sends say the same.
    """
    die, text, code = death
    process = start()
    for message in (die, b"famous last words\n"), (len, ""):
        with pytest.raises(RuntimeError, match="famous last words") as caught:
            mode.run(process.send, message, recv_timeout=LIMIT)
        _check(caught.value, text, code)
    output = caught.value.output
    if sys.flags.dev_mode:  # faulthandler adds a traceback of the child's own
        output = output[:1]
    assert output == ("famous last words",)
    assert process.exitcode == code


def test_while_idle(mode, start, until, gone):
    """Killed between two messages: the next send is told, and does not wait."""
    process = start()
    mode.run(process.send, (len, ""))
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: gone(process.pid))
    with pytest.raises(RuntimeError, match="SIGKILL") as caught:
        mode.run(process.send, (len, ""), recv_timeout=LIMIT)
    _check(caught.value, "was killed by SIGKILL (by somebody", -signal.SIGKILL)


def test_with_fifty_sends_pending(async_mode, start, death):
    """Each of them is told."""
    die, text, code = death
    process = start()

    async def body(context_vars):
        sends = [process.send((die,))] + [process.send((len, "")) for _ in range(50)]
        async with asyncio.timeout(LIMIT):
            return await asyncio.gather(*sends, return_exceptions=True)

    errors = async_mode.run(body)
    assert len(errors) == 51
    for error in errors:
        _check(error, text, code)


def test_with_ten_threads_waiting(start, death):
    """Each of them is told, in sync mode, too."""
    die, *_ = death
    process, errors = start(), []

    def wait(func):
        try:
            srun(process.send, (func,), recv_timeout=LIMIT)
        except RuntimeError as error:
            errors.append(error)

    gate = threading.Thread(target=wait, args=(signal.pause,))
    threads = [gate] + [threading.Thread(target=wait, args=(die,)) for _ in range(9)]
    for thread in threads:
        thread.start()
    os.kill(process.pid, signal.SIGUSR1)  # whichever it is in, starting or pausing: it dies
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [lowlevel.ChildDiedError] * 10


def test_in_the_middle_of_a_large_message(mode, start, until, gone):
    """A child that dies with a message half read."""
    process = start()
    mode.run(process.send, (len, ""))
    os.kill(process.pid, signal.SIGSTOP)
    timer = threading.Timer(0.05, os.kill, (process.pid, signal.SIGKILL))
    timer.start()
    with pytest.raises(RuntimeError, match="SIGKILL"):
        mode.run(process.send, (len, b"x" * 20_000_000), recv_timeout=LIMIT)
    timer.join()


@pytest.fixture
def at_start(caller):
    """Give a class whose instance does something when the child unpickles it."""

    def load(func):
        func()

    class Starting(caller):
        def __reduce__(self):
            return load, (self.func,)

    return Starting


def test_while_starting(request, mode, start, death, at_start):
    """A child that dies while it is being set up."""
    die, text, code = death
    process = start(at_start, func=die)
    if request.node.callspec.params["death"] == "sys.exit":
        text, code = "set-up failed, SystemExit", 1
    for _ in range(2):
        with pytest.raises(RuntimeError) as caught:
            mode.run(process.send, (len, ""), recv_timeout=LIMIT)
        _check(caught.value, text, code)


def test_an_exception_while_starting(mode, start, at_start):
    """The error says that the set-up failed; its cause is the exception, with its traceback."""

    def fails_to_load():
        raise LookupError("no such model")

    process = start(at_start, func=fails_to_load)
    with pytest.raises(RuntimeError, match="set-up failed, LookupError: no such model") as caught:
        mode.run(process.send, (len, ""), recv_timeout=LIMIT)
    assert isinstance(caught.value.__cause__, LookupError)
    assert "fails_to_load" in "".join(caught.value.__cause__.__notes__)


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


def test_restart(mode, start, death):
    """`restart` gives a working child again, as often as needed."""
    die, _, _ = death
    process = start()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            mode.run(process.send, (die,), recv_timeout=LIMIT)
        process.restart()
        assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
        assert process.exitcode is None


def test_restart_from_the_exit_event(mode, start, caller):
    """A process that restarts itself when its child has died."""

    class Phoenix(caller):
        def on_event(self, event):
            self.events.append(event)
            if isinstance(event[1], lowlevel.ChildDiedError):
                self.restart()

    process = start(Phoenix)
    with pytest.raises(RuntimeError):
        mode.run(process.send, (os._exit, 3), recv_timeout=LIMIT)
    assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3


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


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="there is none to be without")
def test_without_pidfd(mode, start, death, monkeypatch):
    """Where the system has none, a thread waits for the end, with the same outcome."""

    def none(pid, flags=0):
        raise OSError(38, "not here")

    monkeypatch.setattr(os, "pidfd_open", none)
    die, text, code = death
    process = start()
    with pytest.raises(RuntimeError) as caught:
        mode.run(process.send, (die,), recv_timeout=LIMIT)
    _check(caught.value, text, code)


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
