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


def test_a_send_between_a_failed_set_up_and_the_end(start, at_start):
    """It says what is known by then; it said that nobody could tell how the child had ended."""

    def fails_to_load():
        threading.Thread(target=signal.pause).start()  # which keeps the process
        raise LookupError("no such model")

    process = start(at_start, func=fails_to_load)
    link = process._link
    assert link.driver.wait(lambda: link._failure is not None, LIMIT)
    with pytest.raises(lowlevel.ChildDiedError, match="is ending: set-up failed, LookupError"):
        srun(process.send, (len, ""), recv_timeout=LIMIT)
    process.close(0)


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
