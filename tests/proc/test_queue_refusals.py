"""What queues do that say nothing of themselves, or take nothing back."""

from __future__ import annotations

import asyncio
import queue
from types import SimpleNamespace

import pytest

from mt.aio.proc._queue_poll import Poller
from mt.aio.proc._queue_remote import RemoteGetter


@pytest.mark.parametrize("look", [None, lambda: False, lambda: 1 / 0], ids=["no", "empty", "bad"])
def test_a_queue_that_cannot_say_whether_it_is_empty(look):
    """Who waits tries for himself, and finds out what is wrong."""

    async def main():
        q = SimpleNamespace() if look is None else SimpleNamespace(empty=look)
        line = Poller(asyncio.get_running_loop()).line(q, "empty", 0.01)
        woken = []
        line.wake = lambda: woken.append("woken")
        line.tick()
        assert woken == ["woken"]

    asyncio.run(main())


class Full(queue.Queue):
    """A queue that takes nothing back."""

    def put(self, item, block=True, timeout=None):
        """Refuse."""
        raise queue.Full


class Broken(queue.Queue):
    """A queue whose other side is gone."""

    def put(self, item, block=True, timeout=None):
        """Fail."""
        raise ConnectionError("gone")


def test_what_nobody_has_taken_is_put_back():
    """It is in the queue again, and counted once."""
    q = queue.Queue()
    for number in range(2):
        q.put(number)
    getter = RemoteGetter(q)
    getter._shelf.append(q.get())
    getter.put_back()
    assert [q.get(), q.get()] == [1, 0]
    assert q.unfinished_tasks == 2


def test_a_full_queue_takes_nothing_back():
    """What came from it stays on the shelf, for whoever asks next."""
    getter = RemoteGetter(Full())
    getter._shelf.append("item")
    getter.put_back()
    assert list(getter._shelf) == ["item"]
    getter._shelf.clear()


def test_a_broken_queue_takes_nothing_back(caplog):
    """That something is lost with it goes to the log."""
    getter = RemoteGetter(Broken())
    getter._shelf.append("item")
    getter.put_back()
    (record,) = caplog.records
    assert "cannot be put back" in record.getMessage()
    assert "gone" in record.exc_text
