"""BgProcess: the sentences of its reference, one by one."""

from __future__ import annotations

import os
import pathlib
import queue
import signal
import sys

import psutil
import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcess, lowlevel

LIMIT = 10  # seconds until a test gives up hope; nothing here takes a tenth of it


@pytest.mark.parametrize("message", [None, "exit", ("returned", 1), b"x" * 300_000, [1, {2}]])
def test_the_default_returns_what_is_sent(mode, message, start):
    """Reference, BgProcess.child_handle_message: by default it returns whatever is sent to it."""
    assert mode.run(start(BgProcess).send, message) == message


def test_an_override(mode, start):
    """Reference, child_handle_message: the user should override this function.

    Its return value is what `send` returns: the value of the `("returned", value)` message.
    """

    class Squarer(BgProcess):
        def __init__(self):
            self.plus = 1
            super().__init__()

        def child_handle_message(self, msg):
            return msg * msg + self.plus

    squarer = start(Squarer)
    assert mode.run(squarer.send, 3) == 10


def test_a_numpy_message(mode, start):
    """Messages can be anything, also what has no truth value."""
    np = pytest.importorskip("numpy")
    reply = mode.run(start(BgProcess).send, np.arange(5))
    assert reply.tolist() == [0, 1, 2, 3, 4]


def test_it_runs_in_a_child_and_keeps_its_state(mode, start):
    """The handler runs in one process that is not this one; its attributes live on in there."""

    class Counter(BgProcess):
        count = 0

        def child_handle_message(self, msg):
            self.count += 1
            return self.count, os.getpid()

    counter = start(Counter)
    assert mode.run(counter.send, None) == (1, counter.pid)
    assert mode.run(counter.send, None) == (2, counter.pid)
    assert counter.pid != os.getpid()
    assert psutil.Process(os.getpid()) in psutil.Process(counter.pid).parents()
    assert counter.count == 0


def test_recv_timeout(mode, start, tmp_path):
    """Reference, send, recv_timeout: queue.Empty after so many seconds.

    The late reply never reaches the next `send`, which gets its own.
    """
    process = start()
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    mode.run(process.send, (len, ""))  # started
    with pytest.raises(queue.Empty):
        mode.run(process.send, (pathlib.Path(gate).read_text,), recv_timeout=0.02)
    with open(gate, "w") as writer:
        writer.write("late")
    assert mode.run(process.send, (len, "abc")) == 3


@pytest.mark.parametrize("timeout", [0, -1])
def test_recv_timeout_of_nothing(mode, start, tmp_path, timeout):
    """Zero, or less, does not wait."""
    process = start()
    with pytest.raises(queue.Empty):
        mode.run(process.send, (signal.pause,), recv_timeout=timeout)


@pytest.mark.parametrize("timeout", [5, 1e7, 1e300, float("inf")])
def test_recv_timeout_that_is_not_used_up(mode, start, timeout):
    """However long it is, a reply ends the wait."""
    assert mode.run(start().send, (len, "abc"), recv_timeout=timeout) == 3


def test_recv_aio_interval(mode, start):
    """Reference, send, recv_aio_interval: accepted, third by position."""
    assert mode.run(start().send, (len, "abc"), None, 0.001) == 3


def test_send_without_context_vars(start):
    """As in the reference, `send` can be awaited as it is."""
    import asyncio

    assert asyncio.run(start().send((len, "abc"))) == 3


def test_an_interrupt_outside_the_handler(mode, start, until):
    """Reference: outside the handler it is an ('ignored_exception', KeyboardInterrupt) message."""
    process = start()
    mode.run(process.send, (len, ""))

    def interrupted():
        os.kill(process.pid, signal.SIGINT)
        mode.run(process.send, (len, ""))
        return process.events

    (name, exception) = until(interrupted)[0]
    assert name == "ignored_exception"
    assert isinstance(exception, KeyboardInterrupt)
    assert mode.run(process.send, (len, "abc")) == 3


def test_an_interrupt_in_the_handler(mode, start):
    """Inside the handler it is an exception like others."""
    process = start()

    def interrupts_itself():
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()

    with pytest.raises(RuntimeError) as caught:
        mode.run(process.send, (interrupts_itself,), recv_timeout=LIMIT)
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)
    assert mode.run(process.send, (len, "abc")) == 3
    assert process.events == []


def test_the_exit_event_of_a_normal_end(mode, start):
    """Reference: if the child dies normally there is an ('exit', None) message."""
    process = start()
    mode.run(process.send, (len, ""))
    mode.run(process.aclose)
    assert process.events == [("exit", None)]


def test_the_exit_event_of_an_abrupt_end(mode, start):
    """Reference: if the child dies abruptly there is an ('exit', Exception) message."""
    process = start()
    with pytest.raises(RuntimeError):
        mode.run(process.send, (os._exit, 3))
    ((name, error),) = process.events
    assert name == "exit"
    assert isinstance(error, lowlevel.ChildDiedError)
    assert error.exitcode == 3


def test_events_are_logged_by_default(start, caplog):
    """Who overrides nothing finds them at debug level."""
    caplog.set_level("DEBUG", "mt.aio.proc")
    process = start(BgProcess)
    process.close()
    assert "BgProcess: ('exit', None)" in caplog.text


def test_without_the_constructor():
    """A subclass that forgets to call it is told so."""

    class Forgetful(BgProcess):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"has not called BgProcess\.__init__"):
        srun(Forgetful().send, 1)


def test_pid_and_exitcode(start, until):
    """The exit code is None until the child has ended; nobody needs to send for it to show."""
    process = start()
    assert process.pid != os.getpid()
    assert process.exitcode is None
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: process.exitcode is not None)
    assert process.exitcode == -signal.SIGKILL


def test_a_child_with_a_child(start):
    """The handler may use a BgProcess of its own, whose output passes through both."""

    def use_another():
        from mt.aio.core import srun
        from mt.aio.proc import BgProcess

        class Inner(BgProcess):
            def child_handle_message(self, msg):
                sys.stdout.write(f"inner {msg}\n")
                return [parent.pid for parent in psutil.Process().parents()]

        with Inner() as inner:
            return srun(inner.send, 5)

    process = start()
    assert process.pid in srun(process.send, (use_another,))
    assert process.text("stdout") == "BgProcess (stdout): inner 5\n"
