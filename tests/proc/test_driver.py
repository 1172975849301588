"""Who reads from a child: loops, threads, and the reader thread for loops that cannot."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time

import pytest

from mt.aio.core import srun
from mt.aio.proc._driver import Driver

LIMIT = 20


class NoReaderLoop(asyncio.SelectorEventLoop):
    """An event loop that cannot watch descriptors for others, as there are."""

    def add_reader(self, fd, callback, *args):
        """Refuse."""
        raise NotImplementedError

    def add_writer(self, fd, callback, *args):
        """Refuse."""
        raise NotImplementedError


def _run_without_readers(coro):
    with asyncio.Runner(loop_factory=NoReaderLoop) as runner:
        return runner.run(coro)


@pytest.fixture
def no_reader_thread_left(until):
    """See that the reader thread ends with its process."""
    yield
    until(lambda: "mt-aio-proc-reader" not in [thread.name for thread in threading.enumerate()])


@pytest.mark.usefixtures("no_reader_thread_left")
def test_a_loop_without_add_reader(start):
    """A thread reads; all works as usual, large messages both ways and the end included."""
    process = start()

    async def body():
        async with asyncio.timeout(LIMIT):
            replies = await asyncio.gather(*[process.send((abs, -n)) for n in range(50)])
            large = await process.send((lambda data: data, b"x" * 3_000_000))
            with pytest.raises(RuntimeError, match="status 3"):
                await process.send((os._exit, 3))
        return replies, len(large)

    assert _run_without_readers(body()) == (list(range(50)), 3_000_000)


@pytest.mark.usefixtures("no_reader_thread_left")
def test_a_loop_without_add_reader_among_others(start):
    """An ordinary loop and sync mode, before and after."""
    process = start()

    async def body():
        return await process.send((abs, -1), recv_timeout=LIMIT)

    assert asyncio.run(body()) == 1
    assert _run_without_readers(body()) == 1
    assert asyncio.run(body()) == 1
    assert srun(process.send, (abs, -2), recv_timeout=LIMIT) == 2
    assert _run_without_readers(body()) == 1
    process.close()


def test_waiting_costs_nothing(start):
    """While a handler sleeps, who waits sleeps, too: in both modes."""
    process = start()

    async def body():
        await asyncio.gather(*[process.send((len, "")) for _ in range(30)])
        before = time.thread_time()
        loop = asyncio.get_running_loop()
        turns = 0

        def count(original=loop._run_once):
            nonlocal turns
            turns += 1
            original()

        loop._run_once = count
        await process.send((lambda: __import__("time").sleep(0.2),))
        return turns, time.thread_time() - before

    turns, seconds = asyncio.run(body())
    assert turns < 20
    assert seconds < 0.15, "nearly all of it would be a busy loop"
    before = time.thread_time()
    srun(process.send, (lambda: __import__("time").sleep(0.2),))
    assert time.thread_time() - before < 0.15


def test_the_loop_does_not_spin_after_a_large_message(start):
    """When all is written, nobody asks any more whether there is room."""
    process = start()
    data = b"x" * 4_000_000

    async def body():
        await process.send((len, data))
        thread = threading.Thread(target=srun, args=(process.send, (len, data)))
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.001)
        assert await process.send((len, data)) == len(data)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        turns = 0

        def count(original=loop._run_once):
            nonlocal turns
            turns += 1
            original()

        loop._run_once = count
        await asyncio.sleep(0.1)
        return turns

    assert asyncio.run(body()) < 10


def test_poking_never_fails():
    """However often a busy leader is poked, he is told once, and nobody is refused."""
    readable, writable = os.pipe()
    busy, go_on, done = threading.Event(), threading.Event(), []

    def handle():
        busy.set()
        go_on.wait(LIMIT)
        os.read(readable, 1)

    driver = Driver({readable: handle}, (writable, lambda: None), lambda: None)
    thread = threading.Thread(target=driver.wait, args=(lambda: bool(done), None))
    thread.start()
    os.write(writable, b"x")
    busy.wait(LIMIT)
    try:
        for _ in range(70_000):
            driver.poke()
    finally:
        done.append(True)
        go_on.set()
        thread.join(LIMIT)
        driver.close()
        os.close(readable)
        os.close(writable)
    assert not thread.is_alive()


def test_a_stream_that_ends_while_a_loop_is_attached():
    """A thread finds a stream's end in the very moment; the loop does not watch it afterwards.

    What broke: the dictionary that was being gone through changed its size.
    """
    watched, thieves = set(), []

    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, fd, callback, *args):
            watched.add(fd)
            if not thieves:
                thieves.append(threading.Thread(target=driver.ignore, args=(11,)))
                thieves[0].start()
                thieves[0].join(0.1)

        def remove_reader(self, fd):
            watched.discard(fd)

        def remove_writer(self, fd):
            """There is none."""

    nothing = len
    driver = Driver({10: nothing, 11: nothing, 12: nothing}, (13, nothing), lambda: None)
    loop = Loop()
    try:
        driver.attach(loop)
        thieves[0].join(LIMIT)
        assert not thieves[0].is_alive()
        assert watched == {10, 12}
    finally:
        loop.close()


def test_close_in_the_last_turn_of_a_loop(start, until):
    """A loop that stops before it has heard of the close keeps no descriptor open."""

    def open_descriptors():
        return len(os.listdir("/proc/self/fd"))

    before = open_descriptors()
    process = start()
    loop = asyncio.new_event_loop()
    inside = open_descriptors() - before
    loop.run_until_complete(process.send((len, "")))

    def last(loop):
        thread = threading.Thread(target=process.close)
        thread.start()
        thread.join()
        loop.stop()

    loop.call_soon(last, loop)
    loop.run_forever()
    loop.close()
    assert inside > 0
    del loop  # the loop's selector goes with it
    gc.collect()
    until(lambda: open_descriptors() <= before)
