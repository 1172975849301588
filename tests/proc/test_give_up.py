"""on_give_up="restart": a timeout or a cancellation that stops the work."""

from __future__ import annotations

import asyncio
import os
import queue
import time

import pytest

from mt.aio.proc import lowlevel

LIMIT = 10


def _work(path):
    with open(path, "a") as file:
        file.write("begun ")
    time.sleep(600)


def _wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)
    return 5


def test_a_timeout_stops_the_work(mode, start, until, gone):
    """The old child is gone, another one answers."""
    process = start()
    old = process.pid
    with pytest.raises(queue.Empty):
        mode.run(process.send, (time.sleep, 600), recv_timeout=0.1, on_give_up="restart")
    assert mode.run(process.send, (os.getpid,), recv_timeout=LIMIT) == process.pid != old
    until(lambda: gone(old))


def test_a_cancellation_stops_the_work(async_mode, start, until, gone, tmp_path):
    """Likewise."""
    process, note = start(), tmp_path / "note"
    old = process.pid

    async def body(context_vars):
        task = asyncio.ensure_future(process.send((_work, str(note)), on_give_up="restart"))
        while not (note.exists() and note.read_text()):  # there is a file before there is text
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await process.send((os.getpid,))

    assert async_mode.run(body) == process.pid != old
    until(lambda: gone(old))


def test_the_others_are_told(async_mode, start):
    """Who waits for the same child learns why it was killed."""
    process = start()

    async def body(context_vars):
        stopped = process.send((time.sleep, 600), recv_timeout=0.1, on_give_up="restart")
        both = [stopped, process.send((len, "abc"))]
        return await asyncio.gather(*both, return_exceptions=True)

    stopped, other = async_mode.run(body)
    assert isinstance(stopped, queue.Empty)
    assert isinstance(other, lowlevel.ChildDiedError)
    assert "gave up" in str(other)


def test_an_error_is_no_giving_up(mode, start):
    """The handler has ended: there is nothing to stop."""
    process = start()
    old = process.pid
    with pytest.raises(lowlevel.ChildRaisedError):
        mode.run(process.send, (abs, "x"), on_give_up="restart")
    assert process.pid == old


def test_a_message_that_never_left(async_mode, start, tmp_path):
    """It is withdrawn; the child is not killed for it."""
    process = start()
    old = process.pid

    async def body(context_vars):
        await process.send((len, ""))
        slow = asyncio.ensure_future(process.send((_wait_for, str(tmp_path / "go"))))
        sends = [process.send((len, b"x" * 60_000)) for _ in range(20)]
        full = asyncio.gather(*sends)
        await asyncio.sleep(0)
        never = asyncio.ensure_future(process.send((len, "abc"), on_give_up="restart"))
        await asyncio.sleep(0)
        never.cancel()
        await asyncio.wait([never])
        (tmp_path / "go").touch()
        return await slow, await full

    assert async_mode.run(body) == (5, [60_000] * 20)
    assert process.pid == old


def test_many_restarts_leave_nothing(start):
    """Neither finalizers nor links pile up."""
    import gc
    import weakref

    from mt.aio.core import srun

    process = start()
    links = []
    for _ in range(5):
        links.append(weakref.ref(process._link))
        with pytest.raises(queue.Empty):
            srun(process.send, (time.sleep, 600), recv_timeout=0.01, on_give_up="restart")
    deadline = time.monotonic() + LIMIT
    while any(link() is not None for link in links):
        assert time.monotonic() < deadline
        time.sleep(0.01)
        gc.collect()


def test_no_such_way(mode, start):
    """A slip of the pen would let the child go on, and nobody would know."""
    process = start()
    with pytest.raises(ValueError, match="on_give_up must be 'finish' or 'restart', not 'kill'"):
        mode.run(process.send, (len, ""), on_give_up="kill")
    assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
