"""The end of a process: closed, forgotten, collected, and by whom."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
import weakref

import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcess, lowlevel

LIMIT = 10


async def _in_hand(process, mark, seconds):
    """Send a message that takes so long, or until the mark goes; return when it has begun."""

    def works():
        mark.touch()
        end = time.monotonic() + seconds
        while mark.exists() and time.monotonic() < end:
            time.sleep(0.005)
        sys.stdout.write("the end")

    sent = asyncio.ensure_future(process.send((works,)))
    async with asyncio.timeout(LIMIT):
        while not mark.exists():
            await asyncio.sleep(0.005)
    return sent


def test_close(mode, start, gone):
    """The child has ended by itself; later sends say that it was closed, by whom, what to do."""
    process = start()
    mode.run(process.send, (len, ""))
    process.close()
    assert process.exitcode == 0
    assert gone(process.pid)
    with pytest.raises(RuntimeError, match=r"closed by this program.*restart\(\)") as caught:
        mode.run(process.send, (len, ""))
    assert isinstance(caught.value, lowlevel.ChildClosedError)


def test_closing_twice(mode, start):
    """The second time nothing happens."""
    process = start()
    for _ in range(2):
        process.close()
        mode.run(process.aclose)
    assert process.exitcode == 0


def test_closing_what_has_died(mode, start):
    """It is over anyway; the exit code stays that of the death."""
    process = start()
    with pytest.raises(RuntimeError):
        mode.run(process.send, (os._exit, 3))
    process.close()
    mode.run(process.aclose)
    assert process.exitcode == 3


def test_closing_at_once(mode, start):
    """A child that has not even started ends, too."""
    process = start()
    mode.run(process.aclose)
    assert process.exitcode is not None


def test_with(start):
    """Leaving the block closes, also by an exception."""
    with BgProcess() as process:
        assert srun(process.send, 5) == 5
    assert process.exitcode == 0
    with pytest.raises(LookupError), BgProcess() as process:
        raise LookupError
    assert process.exitcode is not None


def test_async_with(mode):
    """Likewise; in an asyn function under srun, too."""

    async def body(context_vars):
        async with BgProcess(context_vars=context_vars) as process:
            assert await process.send(5) == 5
        return process

    assert mode.run(body).exitcode == 0


def test_close_while_busy(async_mode, start, tmp_path):
    """Who waits gets a RuntimeError at once; the child has its grace, then it is killed."""
    process, mark = start(), tmp_path / "mark"

    async def body(context_vars):
        sent = await _in_hand(process, mark, 600)
        closing = asyncio.ensure_future(process.aclose(0.05))
        async with asyncio.timeout(LIMIT):
            with pytest.raises(RuntimeError, match="closed by this program"):
                await sent
            await closing

    async_mode.run(body)
    assert process.exitcode == -signal.SIGKILL


def test_close_from_another_thread(start):
    """A thread that waits in sync mode is told at once."""
    process, caught = start(), []
    srun(process.send, (len, ""))

    def wait():
        try:
            srun(process.send, (time.sleep, 600), recv_timeout=LIMIT)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not process._link._conversation._waiters:
        time.sleep(0.001)
    process.close(0)
    thread.join(LIMIT)
    assert [type(error) for error in caught] == [lowlevel.ChildClosedError]
    assert process.exitcode == -signal.SIGKILL


def test_the_message_in_hand_is_finished(async_mode, start, tmp_path):
    """A child that can end within its grace does so; its output is not lost."""
    process, mark = start(), tmp_path / "mark"

    async def body(context_vars):
        sent = await _in_hand(process, mark, LIMIT)
        closing = asyncio.ensure_future(process.aclose(LIMIT))
        with pytest.raises(RuntimeError):
            await sent
        mark.unlink()
        await closing

    async_mode.run(body)
    assert process.exitcode == 0
    assert process.text("stdout") == "the end"


def test_what_is_queued_is_not_begun(async_mode, start, tmp_path):
    """Messages that wait behind the one in hand are not handled after the close."""
    process, mark, another = start(), tmp_path / "mark", tmp_path / "another"

    async def body(context_vars):
        sent = [await _in_hand(process, mark, LIMIT)]
        sent += [asyncio.ensure_future(process.send((another.touch,))) for _ in range(5)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(process.aclose(LIMIT))
        errors = await asyncio.gather(*sent, return_exceptions=True)
        mark.unlink()
        await closing
        return errors

    errors = async_mode.run(body)
    assert [type(error) for error in errors] == [lowlevel.ChildClosedError] * 6
    assert process.exitcode == 0
    assert not another.exists()


def test_close_in_a_running_loop(async_mode, start, until, gone, tmp_path):
    """A plain function does not block the loop: it returns at once, the end comes by itself."""
    process, mark = start(), tmp_path / "mark"

    async def body(context_vars):
        sent = await _in_hand(process, mark, 600)
        process.close(0.05)
        assert process.exitcode is None, "it cannot have ended that fast"
        with pytest.raises(RuntimeError, match="closed"):
            await sent

    async_mode.run(body)
    until(lambda: gone(process.pid))
    until(lambda: process.exitcode is not None)


def test_a_stopped_child_is_killed(start):
    """SIGSTOP keeps nobody from closing."""
    process = start()
    srun(process.send, (len, ""))
    os.kill(process.pid, signal.SIGSTOP)
    process.close(0.02)
    assert process.exitcode == -signal.SIGKILL


def test_a_child_that_ignores_everything(start):
    """One that has its threads and handlers in the way is killed after its grace."""
    process = start()

    def stubborn():
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        threading.Thread(target=signal.sigwait, args=([signal.SIGUSR2],)).start()

    srun(process.send, (stubborn,))
    process.close(0.05)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.usefixtures("no_collection")
def test_forgotten_and_collected(mode, start, until, gone, caller):
    """Dropping the last reference ends the child; no cycle keeps the process alive."""
    process = caller()
    mode.run(process.send, (len, ""))
    pid, reference = process.pid, weakref.ref(process)
    del process
    assert reference() is None
    until(lambda: gone(pid))


def test_forgotten_while_busy(caller, until, gone):
    """A child with a message in hand is killed after its grace."""
    process = caller()

    async def body(process):
        await process.send((len, ""))
        task = asyncio.ensure_future(process.send((time.sleep, 600)))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(body(process))
    pid = process.pid
    del process
    until(lambda: gone(pid))


def test_twenty_rounds_leave_nothing(mode, caller, until):
    """Neither descriptors nor threads nor children grow in number."""

    def count():
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    def round_trip():
        with caller() as process:
            assert mode.run(process.send, (len, "abc")) == 3

    round_trip()
    before = count()
    for _ in range(20):
        round_trip()
    until(lambda: count() <= before or all(a <= b for a, b in zip(count(), before, strict=True)))


def test_restarts_leave_nothing(start, until):
    """Nor do restarts."""
    process = start()
    srun(process.send, (len, ""))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        process.restart()
        assert srun(process.send, (len, "abc")) == 3
    until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_restart_in_a_running_loop(async_mode, start):
    """The old child's end is seen to elsewhere; the new one answers."""
    process = start()

    async def body(context_vars):
        await process.send((len, ""))
        old = process.pid
        process.restart()
        assert await process.send((os.getpid,), recv_timeout=LIMIT) == process.pid != old
        await process.aclose()

    async_mode.run(body)


@pytest.mark.parametrize("timeout", [0, 1e9, float("inf")])
def test_any_grace(mode, start, timeout):
    """From none at all to for ever."""
    process = start()
    mode.run(process.send, (len, ""))
    mode.run(process.aclose, timeout)
    assert process.exitcode in ((0, -signal.SIGKILL) if timeout == 0 else (0,))
