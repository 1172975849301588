"""The far end of a line, by itself: what a call does, once, and what it tells."""

from __future__ import annotations

import asyncio
import os

import pytest

from mt.aio.proc import _protocol as protocol
from mt.aio.proc._frames import pack_small
from mt.aio.proc._pickling import dumps, loads, not_importable
from mt.aio.proc._station import HANG_UP, KILL, OutOfTurnError
from mt.aio.proc.lowlevel import Station

ROOM = 1 << 20


def run(caller, body):
    """Run a coroutine with a station whose child calls functions."""

    async def main():
        station = Station()
        instance = caller.__new__(caller)
        setup = dumps(instance, not_importable(caller))
        assert await station.start(setup, ()) > 0
        try:
            await body(station)
        finally:
            station.abandon()
            await asyncio.to_thread(station.finish, 5)

    asyncio.run(main())


def message(number, *what):
    """Make the packet of a message."""
    return number, -1, [pack_small(protocol.MESSAGE, number, dumps(what)[0])]


async def until(station, kind, seq, have=0):
    """Call for news until an event of some kind has come; return it, and the next numbers."""
    for _ in range(50):
        first, events, _ = await station.exchange(seq, have, 1, ROOM, "", [])
        for event in events[have - first :]:
            have += 1
            if event[0] == kind and (kind != "frame" or event[1] == protocol.RETURNED):
                return event, seq + 1, have
        seq += 1
    raise AssertionError("waited in vain")


def test_a_repeated_call_is_obeyed_once(caller, tmp_path):
    """The same call twice runs the handler once, and tells the same."""
    path = str(tmp_path / "file")
    packets = [message(1, os.mkdir, path), message(2, os.listdir, str(tmp_path))]

    async def body(station):
        await station.exchange(1, 0, 0, ROOM, "", packets)
        await station.exchange(1, 0, 0, ROOM, "", packets)
        event, *_ = await until(station, "frame", 2)
        assert loads(event[3]) is None
        told = await station.exchange(2, 0, 0, ROOM, "", [])
        assert told == await station.exchange(2, 0, 0, ROOM, "", [])

    run(caller, body)
    assert os.listdir(tmp_path) == ["file"]


def test_a_call_whose_predecessor_is_missing(caller, monkeypatch):
    """It waits for it, in vain, and is refused."""
    monkeypatch.setattr("mt.aio.proc._station.TURN", 0.05)

    async def body(station):
        with pytest.raises(OutOfTurnError, match="call 2 came, but 1 did not"):
            await station.exchange(2, 0, 5, ROOM, "", [message(1, os.getpid)])

    run(caller, body)


def test_calls_that_overtake_each_other(caller):
    """What they bring is handed on in the order of their numbers."""

    async def body(station):
        late = asyncio.create_task(station.exchange(2, 0, 0, ROOM, "", [message(2, len, "two")]))
        await asyncio.sleep(0)
        await station.exchange(1, 0, 0, ROOM, "", [message(1, len, "1")])
        await late
        one, seq, have = await until(station, "frame", 3)
        two, *_ = await until(station, "frame", seq, have)
        assert [loads(event[3]) for event in (one, two)] == [1, 3]

    run(caller, body)


def test_a_newer_call_takes_the_place_of_the_older(caller):
    """The older one answers with nothing, at once."""

    async def body(station):
        *_, seq, have = await until(station, "frame", *await ready(station))
        older = asyncio.create_task(station.exchange(seq, have, 30, ROOM, "", []))
        await asyncio.sleep(0)
        await station.exchange(seq + 1, have, 0, ROOM, "", [])
        assert await older == (have, [], 0)

    async def ready(station):
        await station.exchange(1, 0, 0, ROOM, "", [message(1, len, "")])
        return (2,)

    run(caller, body)


def test_what_does_not_fit_is_told_of(caller):
    """A call is told the size of an event that it has no room for, and gets it with room."""

    async def body(station):
        await station.exchange(1, 0, 0, ROOM, "", [message(1, bytes, 100_000)])
        seq, have = 2, 0
        while True:
            first, events, withheld = await station.exchange(seq, have, 1, 1000, "", [])
            have, seq = first + len(events), seq + 1
            if withheld:
                break
        first, events, _ = await station.exchange(seq, have, 1, withheld, "", [])
        assert withheld > 100_000
        assert loads(events[0][3]) == bytes(100_000)

    run(caller, body)


@pytest.mark.parametrize(("order", "status"), [(HANG_UP, 0), (f"{KILL}why", -9)])
def test_orders(caller, order, status):
    """A call may end the child, gently or not; how it ended is the last event."""

    async def body(station):
        _, seq, have = await until_ready(station)
        await station.exchange(seq, have, 0, ROOM, order, [])
        event, *_ = await until(station, "over", seq + 1, have)
        assert event[1] == status
        assert station.ended

    async def until_ready(station):
        await station.exchange(1, 0, 0, ROOM, "", [message(1, len, "")])
        return await until(station, "frame", 2)

    run(caller, body)


def test_ends_when_its_loop_is_closed(caller):
    """A child whose caller's loop is gone is ended all the same, and nobody gets an error."""

    async def begin():
        station = Station()
        instance = caller.__new__(caller)
        await station.start(dumps(instance, not_importable(caller)), ())
        return station

    station = asyncio.run(begin())
    station.begin_close()
    station.finish(5)
    assert station.ended
