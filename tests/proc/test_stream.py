"""Replies in parts: in order, no more than wanted, stopped early, failing half-way."""

from __future__ import annotations

import asyncio
import os
import queue
import time
from contextlib import aclosing

import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcess
from mt.aio.proc._frames import PART, RETURNED, Frame
from mt.aio.proc._loops import LoopListener

LIMIT = 10


class Counter(BgProcess):
    """Yields numbers, and tells how many it has made."""

    made = 0
    closed = 0

    def child_handle_message(self, msg):
        """Count to a number; None asks what was done."""
        if msg is None:
            return self.made, self.closed
        return self._count(msg)

    def _count(self, number):
        try:
            for n in range(number):
                self.made += 1
                if n == 100:
                    raise LookupError("a hundred is too much")
                if n == 90:
                    os._exit(3)
                yield n
        finally:
            self.closed += 1


async def _collect(process, message, context_vars, **options):
    return [part async for part in process.stream(message, context_vars=context_vars, **options)]


@pytest.mark.parametrize("ahead", [1, 2, 8, 100])
def test_all_parts_in_order(mode, start, ahead):
    """In both modes, however many are made ahead."""
    process = start(Counter)

    async def body(context_vars):
        return await _collect(process, 50, context_vars, ahead=ahead, recv_timeout=LIMIT)

    assert mode.run(body) == list(range(50))


def test_back_pressure(mode, start):
    """The child makes no more parts than were asked for."""
    process = start(Counter)

    async def body(context_vars):
        parts = process.stream(80, ahead=3, context_vars=context_vars)
        async with aclosing(parts):
            first = [await anext(parts), await anext(parts)]
        return first, await process.send(None, context_vars=context_vars)

    first, (made, closed) = mode.run(body)
    assert first == [0, 1]
    assert made <= 6
    assert closed == 1


def test_messages_sent_meanwhile_wait(mode, start):
    """They are handled after the stream, in order."""
    process = start(Counter)

    async def body(context_vars):
        parts = process.stream(20, ahead=1, context_vars=context_vars)
        got = [await anext(parts)]
        if not context_vars["async"]:
            return [*got, *[part async for part in parts]], 20
        other = asyncio.ensure_future(process.send(None))
        got += [part async for part in parts]
        return got, (await other)[0]

    assert mode.run(body) == (list(range(20)), 20)


def test_a_reply_that_is_no_iterator(mode, start, caller):
    """It is the only part."""
    process = start()

    async def body(context_vars):
        return await _collect(process, (len, "abc"), context_vars)

    assert mode.run(body) == [3]


def test_a_handler_that_raises_half_way(mode, start):
    """What came before is delivered, then the exception."""

    class Raises(BgProcess):
        def child_handle_message(self, msg):
            yield 1
            yield 2
            raise LookupError("enough")

    process, got = start(Raises), []

    async def body(context_vars):
        async for part in process.stream(0, context_vars=context_vars):
            got.append(part)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(RuntimeError, match="enough") as caught:
        mode.run(body)
    assert isinstance(caught.value.__cause__, LookupError)
    assert got == [1, 2]


def test_a_child_that_dies_half_way(mode, start):
    """The iteration ends with the error."""
    process = start(Counter)

    async def body(context_vars):
        await _collect(process, 95, context_vars, recv_timeout=LIMIT)

    with pytest.raises(RuntimeError, match="status 3"):
        mode.run(body)


def test_a_part_that_is_late(mode, start, tmp_path):
    """queue.Empty; the child stops, and the next message gets its own reply."""
    late = tmp_path / "late"

    class Slow(BgProcess):
        def child_handle_message(self, msg):
            if msg is None:
                return "next"
            while not os.path.exists(msg):
                time.sleep(0.005)
            return iter([1, 2])

    process = start(Slow)

    async def body(context_vars):
        with pytest.raises(queue.Empty):
            await _collect(process, str(late), context_vars, recv_timeout=0.01)
        late.touch()
        return await process.send(None, recv_timeout=LIMIT, context_vars=context_vars)

    assert mode.run(body) == "next"


def test_send_and_a_generator(mode, start):
    """It says what to use instead."""
    with pytest.raises(RuntimeError, match="use `stream`"):
        mode.run(start(Counter).send, 5)


def test_ahead_must_be_positive(start):
    """Or nothing would ever come."""
    process = start(Counter)

    async def body(context_vars):
        await _collect(process, 5, context_vars, ahead=0)

    with pytest.raises(ValueError, match="at least 1"):
        srun(body)


def test_large_parts(mode, start, caller):
    """They travel through shared memory as any other reply."""
    np = pytest.importorskip("numpy")
    process = start()

    def arrays():
        return iter([np.full(500_000, n) for n in range(6)])

    async def body(context_vars):
        return [int(a[-1]) for a in await _collect(process, (arrays,), context_vars)]

    assert mode.run(body) == [0, 1, 2, 3, 4, 5]


def test_on_a_loop_without_add_reader(start):
    """A thread reads, and wakes the loop."""

    class NoReaderLoop(asyncio.SelectorEventLoop):
        def add_reader(self, fd, callback, *args):
            raise NotImplementedError

    process = start(Counter)
    with asyncio.Runner(loop_factory=NoReaderLoop) as runner:
        assert runner.run(_collect(process, 30, {"async": True})) == list(range(30))
    process.close()


def test_a_wake_that_comes_late():
    """One for a part that has been taken already does not end the wait for the next."""

    class NoDriver:
        def attach(self, loop):
            pass

    async def body():
        listener = LoopListener(NoDriver())
        await asyncio.to_thread(listener.settle, Frame(PART, 1, [b"first"]))
        taken = await listener.wait(None)
        asyncio.get_running_loop().call_soon(listener._wake)
        asyncio.get_running_loop().call_later(
            0.01, listener.settle, Frame(RETURNED, 1, [b"second"])
        )
        return taken.segments, (await listener.wait(None)).segments

    assert asyncio.run(body()) == ([b"first"], [b"second"])
