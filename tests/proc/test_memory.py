"""Large buffers in shared memory: whose they are, when they are used again, what does without."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time

import pytest

from mt.aio.core import srun
from mt.aio.proc import _memory, lowlevel
from mt.aio.proc._frames import LARGE, RETURNED, Frame, Parser, pack

np = pytest.importorskip("numpy")
LIMIT = 20


@pytest.fixture
def sides():
    """Two ends that share memory, as parent and child do."""
    with_socket, other = socket.socketpair()
    with_socket.setblocking(False)
    other.setblocking(False)
    ends = [_memory.Memory(with_socket), _memory.Memory(other)]
    yield ends
    for end in ends:
        end.close()
    with_socket.close()
    other.close()


def _travel(writer, reader, segments):
    """Send segments from one side to the other; return what arrives, and the region's number."""
    large = [segment for segment in segments if len(segment) >= LARGE]
    region = writer.take(large)
    region.fill(large)
    stream = b"".join(pack(Frame(RETURNED, 1, segments, region.number)))
    assert len(stream) < LARGE
    (frame,) = Parser().feed(stream)
    reader.place(frame)
    return frame.segments, region.number


def _give_back(reader, writer):
    """Have one side release what it does not use any more."""
    frames = Parser().feed(reader.returned())
    for frame in frames:
        writer.noted(frame)
    return [frame.number for frame in frames]


def test_segments_arrive_as_they_were(sides):
    """Small ones in the stream, large ones beside it, of odd sizes."""
    data = [b"pickle", os.urandom(LARGE), b"x" * 7, os.urandom(3 * LARGE + 5), os.urandom(1 << 21)]
    segments, _ = _travel(*sides, data)
    assert [bytes(segment) for segment in segments] == data


def test_a_region_is_used_again_when_no_view_is_left(sides):
    """Not before: whoever has a view may write to it, and nobody else does."""
    writer, reader = sides
    data = b"a" * (2 << 20)
    (view,), first = _travel(writer, reader, [data])
    array = np.frombuffer(view, "u1")
    del view
    assert _give_back(reader, writer) == []
    (_, second) = _travel(writer, reader, [b"b" * (2 << 20)])
    assert second != first
    assert bytes(array) == data
    part = array[5:6]
    del array
    assert first not in _give_back(reader, writer)
    del part
    assert first in _give_back(reader, writer)
    (view,), third = _travel(writer, reader, [b"c" * (2 << 20)])
    assert third in (first, second)
    assert bytes(view) == b"c" * (2 << 20)


def test_a_small_region_is_released_at_once(sides):
    """Its content is copied."""
    writer, reader = sides
    (segment,), number = _travel(writer, reader, [b"a" * LARGE])
    assert _give_back(reader, writer) == [number]
    _travel(writer, reader, [b"b" * LARGE])
    assert segment == b"a" * LARGE


def test_the_pool_is_bounded(sides, monkeypatch):
    """What is free beyond the limit is given up, on both sides."""
    writer, reader = sides
    monkeypatch.setattr(_memory, "_KEPT", 5 << 20)
    views = [_travel(writer, reader, [bytes([n]) * (2 << 20)])[0] for n in range(6)]
    mapped = len(reader._mapped)
    views.clear()
    _give_back(reader, writer)
    _give_back(writer, reader)
    assert mapped == 6
    assert len(writer._own) == len(reader._mapped) == 2


def test_too_many_regions_in_use(sides, monkeypatch):
    """Then there is none, and the socket has to do."""
    monkeypatch.setattr(_memory, "_MOST", 2)
    taken = [sides[0].take([b"x" * LARGE]) for _ in range(3)]
    assert [region is None for region in taken] == [False, False, True]


def test_memory_that_cannot_be_mapped(mode, start, monkeypatch):
    """Whoever waits for what is in it is told why, and nothing else is lost."""
    process = start()
    mode.run(process.send, (len, ""))

    def refuse(*args):
        raise OSError(12, "no memory")

    with monkeypatch.context() as patch:
        patch.setattr(_memory.Memory, "_map", refuse)
        for _ in range(2):
            with pytest.raises(lowlevel.ChildError, match=r"cannot be loaded: .* no memory"):
                mode.run(process.send, (bytes, 3 * LARGE), recv_timeout=LIMIT)
    assert len(mode.run(process.send, (bytes, 3 * LARGE), recv_timeout=LIMIT)) == 3 * LARGE


def test_memory_that_the_child_cannot_map(mode, start):
    """It tells so, and lives."""

    def break_it():
        from mt.aio.proc import _memory

        def refuse(*args):
            raise OSError(12, "no memory")

        _memory.Memory._map = refuse

    process = start()
    mode.run(process.send, (break_it,))
    with pytest.raises(lowlevel.ChildRaisedError, match="no memory"):
        mode.run(process.send, (len, bytes(3 * LARGE)), recv_timeout=LIMIT)
    assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3


def test_no_room_for_a_descriptor(sides, monkeypatch):
    """The system drops it then, and says nothing."""
    writer, reader = sides
    monkeypatch.setattr(_memory, "receive", lambda *args: (b"12345678", []))
    with pytest.raises(OSError, match="Too many open files"):
        _travel(writer, reader, [b"pickle", bytes(3 * LARGE)])


def test_arrays_that_are_kept(mode, start):
    """A hundred replies, all kept, all different: more than there are regions."""
    process = start()

    def fill(number):
        return __import__("numpy").full(300_000, number)

    kept = [mode.run(process.send, (fill, n), recv_timeout=LIMIT) for n in range(100)]
    assert [int(array[-1]) for array in kept] == list(range(100))
    assert [int(array[0]) for array in kept] == list(range(100))


def test_an_array_outlives_its_process(start):
    """It stays what it is after the close."""
    process = start()
    array = srun(process.send, (lambda n: __import__("numpy").full(n, 5), 1_000_000))
    process.close()
    gc.collect()
    array += 1
    assert (array == 6).all()


def test_a_small_message_waits_for_the_large_one(async_mode, start):
    """The order is kept although the large one is being copied elsewhere."""
    process = start()

    def note(what):
        import builtins

        builtins.noted = [*getattr(builtins, "noted", []), len(what)]
        return builtins.noted

    async def body(context_vars):
        sends = [process.send((note, np.ones(5_000_000))), process.send((note, "abc"))]
        return await asyncio.gather(*sends)

    assert async_mode.run(body) == [[5_000_000], [5_000_000, 3]]


def test_cancelled_while_it_is_copied(async_mode, start):
    """Nothing is sent, and the region can be used again."""
    process = start()

    async def body(context_vars):
        await process.send((len, ""))
        task = asyncio.ensure_future(process.send((len, np.ones(4_000_000))))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await process.send((lambda a: a.sum(), np.ones(4_000_000)))

    assert async_mode.run(body) == 4_000_000


def test_what_waits_behind_a_message_that_is_withdrawn(async_mode, start, monkeypatch, halt):
    """It goes its way when that one is cancelled while it is copied; it waited for ever."""
    process, array = start(), np.ones(1_000_000)
    copy = _memory.Region._copy

    def halted(region, *args):
        halt()
        copy(region, *args)

    async def body(context_vars):
        await process.send((len, ""))
        with monkeypatch.context() as patch:
            patch.setattr(_memory.Region, "_copy", halted)
            large = asyncio.ensure_future(process.send((len, array)))
            await halt.reached()
            behind = asyncio.ensure_future(process.send((len, "abc"), recv_timeout=LIMIT))
            await asyncio.sleep(0)
            large.cancel()
            assert await behind == 3
        halt.go_on()
        await asyncio.wait([large])
        assert large.cancelled()
        return await process.send((len, array), recv_timeout=LIMIT)

    assert async_mode.run(body) == 1_000_000


def test_an_interrupt_while_it_is_copied(start, monkeypatch):
    """Nothing of it is sent, and nothing waits for it; from then on everything did, for ever."""
    process, array = start(), np.ones(20_000)
    assert srun(process.send, (len, "")) == 0

    with monkeypatch.context() as patch:
        patch.setattr(_memory.Region, "_copy", lambda *args: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            srun(process.send, (len, array))
    assert process._link._conversation._waiters == {}
    assert srun(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
    assert srun(process.send, (len, array), recv_timeout=LIMIT) == 20_000
    assert len(process._link._outbox.memory._own) == 1, "the region has been used again"


def test_a_region_of_a_message_that_never_left(async_mode, start, tmp_path):
    """It is copied already, waits for its turn, and is withdrawn: the region is free again."""
    process = start()

    def wait_for(path):
        while not os.path.exists(path):
            time.sleep(0.005)

    async def body(context_vars):
        await process.send((len, ""))
        slow = asyncio.ensure_future(process.send((wait_for, str(tmp_path / "go"))))
        full = asyncio.gather(*[process.send((len, b"x" * 60_000)) for _ in range(20)])
        await asyncio.sleep(0)
        never = asyncio.ensure_future(process.send((len, np.ones(20_000))))
        await asyncio.sleep(0)
        never.cancel()
        await asyncio.wait([never])
        (tmp_path / "go").touch()
        await slow
        await full

    async_mode.run(body)
    memory = process._link._outbox.memory
    assert len(memory._free) == len(memory._own) == 1


def test_the_loop_goes_on_while_100_megabytes_travel(start):
    """It turns many times meanwhile."""
    process, array = start(), np.ones(12_500_000)

    async def body():
        await process.send((len, ""))
        turns = 0
        task = asyncio.ensure_future(process.send((lambda a: a, array)))
        while not task.done():
            turns += 1
            await asyncio.sleep(0.001)
        return turns, task.result()[-1]

    turns, last = asyncio.run(body())
    assert last == 1
    assert turns >= 5
