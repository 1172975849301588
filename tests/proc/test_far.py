"""The caller's end of a line to a remote host, whose far end is near, and goes wrong."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time

import pytest

from mt.aio.core import srun
from mt.aio.proc.lowlevel import ChildClosedError, ChildDiedError, HostLost

LIMIT = 20
# The near end has an event loop in a thread of its own.
pytestmark = pytest.mark.mt_aio_loop_elsewhere


def _never(*_asked):
    return asyncio.get_running_loop().create_future()


def test_messages_go_there_and_back(nearby, start, mode):
    """A process on a remote host works as a local one does, output included."""
    process = start(host=nearby())
    assert mode.run(process.send, (os.getpid,)) == process.pid
    assert mode.run(process.send, (print, "hello")) is None
    assert process.text("stdout") == "hello\n"
    process.close()
    assert process.exitcode == 0


@pytest.mark.slow
def test_large_messages(nearby, start, mode):
    """What does not fit into one call goes by itself, and comes back writable."""
    process = start(host=nearby())
    data = bytearray(os.urandom(5 << 20))
    reply = mode.run(process.send, (bytearray, data))
    assert reply == data
    reply[0] ^= 1


def test_many_at_once(nearby, start, async_mode):
    """Messages are handled in order; those that come while calls are under way share the next."""
    host = nearby(grace=20)  # its calls are held until all is sent, however long that takes
    process = start(host=host)
    assert async_mode.run(process.send, (int, 0)) == 0
    (carrier,) = host.carriers
    sent = threading.Event()

    async def held(*asked):
        while not sent.is_set():
            await asyncio.sleep(0.001)
        return await carrier.station.exchange(*asked)

    async def body(context_vars):
        sending = [asyncio.ensure_future(process.send((int, i))) for i in range(300)]
        await asyncio.sleep(0)
        sent.set()
        return await asyncio.gather(*sending)

    carrier.instead = held
    assert async_mode.run(body) == list(range(300))
    assert len([packets for *_, packets in carrier.calls if packets]) <= 1 + 2 + 1


@pytest.mark.slow
def test_a_host_that_does_not_answer(nearby, start, mode):
    """A frozen host is noticed after `wait + grace`, by who waits; later sends fail at once."""
    host = nearby()
    process = start(host=host)
    mode.run(process.send, (len, ""))
    host.carriers[0].instead = _never
    begin = time.monotonic()
    with pytest.raises(HostLost, match=r"has not answered for 0\.5 s"):
        mode.run(process.send, (len, ""))
    assert time.monotonic() - begin < 5
    with pytest.raises(HostLost, match="has not answered"):
        mode.run(process.send, (len, ""))
    assert process.exitcode is None


@pytest.mark.slow
def test_a_healthy_message_may_take_longer(nearby, start, mode):
    """A handler that is busy for longer than `wait + grace` is left alone."""
    process = start(host=nearby(wait=0.05, grace=0.2))
    assert mode.run(process.send, (time.sleep, 0.6)) is None


@pytest.mark.slow
def test_a_caller_that_stood_still(nearby, start, near_loop, mode):
    """A loop that was held up for longer than that does not take the host for lost."""
    process = start(host=nearby(wait=0.05, grace=0.6))
    mode.run(process.send, (len, ""))
    near_loop.call_soon_threadsafe(time.sleep, 1)
    assert mode.run(process.send, (len, "abc")) == 3


def test_a_carrier_that_fails(nearby, start, mode):
    """What a carrier raises loses the host; it is the cause, and the actor is let go."""
    host = nearby()
    process = start(host=host)
    mode.run(process.send, (len, ""))

    async def fail(*_asked):
        raise OSError("cable cut")

    host.carriers[0].instead = fail
    with pytest.raises(HostLost, match="OSError: cable cut") as caught:
        mode.run(process.send, (len, ""))
    assert isinstance(caught.value.__cause__, OSError)
    assert len(host.carriers) == 1
    assert isinstance(process.events[-1][1], HostLost)


@pytest.mark.slow
def test_an_engine_that_knows(nearby, start, mode, until):
    """What the engine tells of a loss is believed before the deadline."""
    host = nearby(wait=30)
    process = start(host=host)
    mode.run(process.send, (len, ""))
    host.carriers[0].lost = "the worker went up in smoke"
    with pytest.raises(HostLost, match="went up in smoke"):
        mode.run(process.send, (time.sleep, 20))


@pytest.mark.slow
def test_a_start_that_does_not_come(nearby, start, mode):
    """No machine takes the child: it is told after `timeout`, with the engine's reason."""
    host = nearby(timeout=0.3)
    original = host.carrier

    def stuck():
        carrier = original()
        carrier.start = _never
        return carrier

    host.carrier = stuck
    process = start(host=host)
    with pytest.raises(HostLost, match=r"could not be started within 0\.3 s: no reason"):
        mode.run(process.send, (len, ""))


def test_a_host_that_cannot_be_reached(nearby, start, mode):
    """An error on the way to the engine's loop is told to who sends."""
    host = nearby()

    def unreachable():
        raise OSError("no route")

    host.loop = unreachable
    process = start(host=host)
    with pytest.raises(HostLost, match="no route"):
        mode.run(process.send, (len, ""))
    assert "has not started" in str(process.events[-1][1])


@pytest.mark.slow
def test_restart_after_a_loss(nearby, start, mode):
    """Another child is started only when it is asked for, and then it works."""
    host = nearby()
    process = start(host=host)
    mode.run(process.send, (len, ""))
    host.carriers[0].lost = "gone"
    with pytest.raises(HostLost):
        mode.run(process.send, (time.sleep, 20))
    process.restart()
    assert mode.run(process.send, (len, "ab")) == 2


@pytest.mark.slow
def test_a_late_reply_is_dropped(nearby, start, mode):
    """After a time-out the next send gets its own reply."""
    process = start(host=nearby())
    mode.run(process.send, (len, ""))
    with pytest.raises(queue.Empty):
        mode.run(process.send, (time.sleep, 0.5), 0.05)
    assert mode.run(process.send, (len, "abc")) == 3


def test_a_child_that_dies(nearby, start, mode):
    """The child's death is told as that of a local one; the host is not lost."""
    process = start(host=nearby())
    with pytest.raises(ChildDiedError, match="exited with status 3") as caught:
        mode.run(process.send, (os._exit, 3))
    assert caught.value.exitcode == process.exitcode == 3


@pytest.mark.slow
def test_close_while_busy(nearby, start, mode):
    """A busy child has the grace of `close`, then it is killed; who waits is told at once."""
    process = start(host=nearby())
    mode.run(process.send, (len, ""))

    async def body(context_vars):
        with pytest.raises(queue.Empty):
            await process.send((time.sleep, 30), 0.05, context_vars=context_vars)
        await process.aclose(0.2, context_vars=context_vars)

    mode.run(body)
    assert process.exitcode == -9
    with pytest.raises(ChildClosedError):
        mode.run(process.send, (len, ""))


def test_close_before_the_start(nearby, start, mode):
    """A process that is closed before its child was started is just closed."""
    host = nearby()
    process = start(host=host)
    process.close()
    with pytest.raises(ChildClosedError):
        mode.run(process.send, (len, ""))


@pytest.mark.slow
def test_close_of_a_host_that_does_not_answer(nearby, start, mode):
    """`close` gives up a host that stands still, and says that nobody knows."""
    host = nearby()
    process = start(host=host)
    mode.run(process.send, (len, ""))
    host.carriers[0].instead = _never
    begin = time.monotonic()
    process.close(0.1)
    assert time.monotonic() - begin < 5
    assert process.exitcode is None


def test_a_stream(nearby, start, mode):
    """Parts come as they are made, no more ahead than asked for; leaving stops the generator."""
    process = start(host=nearby())

    async def body(context_vars):
        stream = process.stream((iter, range(50)), ahead=2, context_vars=context_vars)
        return [part async for part in stream]

    assert mode.run(body) == list(range(50))


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "before it begins"])
def test_blocking_the_loop_that_carries(nearby, start, near_loop, begun, monkeypatch):
    """A thread that runs the carrying loop is told that it cannot wait for a reply."""
    host, known, sends = nearby(), threading.Event(), threading.Event()
    find = host.loop
    monkeypatch.setattr(host, "loop", lambda: known.wait(LIMIT) and find())
    process = start(host=host)
    if begun:
        known.set()
        srun(process.send, (len, ""))

    async def body():
        sends.set()
        await process.send((len, ""), context_vars={"async": False})

    future = asyncio.run_coroutine_threadsafe(body(), near_loop)
    sends.wait(LIMIT)
    known.set()
    with pytest.raises(RuntimeError, match="cannot be blocked"):
        future.result(LIMIT)


@pytest.mark.parametrize("name", ["timeout", "wait", "grace"])
def test_times_are_positive(nearby, name):
    """The three times are checked where they are given."""
    with pytest.raises(ValueError, match="more than 0"):
        nearby(**{name: 0})
