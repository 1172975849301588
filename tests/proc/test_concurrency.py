"""One process used by many at once: tasks, threads, event loops, and sync mode beside them."""

from __future__ import annotations

import asyncio
import os
import pathlib
import queue
import random
import threading

import pytest

from mt.aio.core import srun
from mt.aio.proc._link import Link
from mt.aio.proc.lowlevel import LocalHost

LIMIT = 20


def test_200_sends_at_once(async_mode, start):
    """Each gets its own reply."""
    process = start()

    async def body(context_vars):
        return await asyncio.gather(*[process.send((abs, -number)) for number in range(200)])

    assert async_mode.run(body) == list(range(200))


def test_the_child_handles_them_in_order(async_mode, start, caller):
    """First sent, first handled."""

    class Counter(caller):
        count = 0

        def child_handle_message(self, msg):
            self.count += 1
            return msg, self.count

    process = start(Counter)

    async def body(context_vars):
        return await asyncio.gather(*[process.send(number) for number in range(1, 101)])

    assert async_mode.run(body) == [(number, number) for number in range(1, 101)]


def test_many_threads_in_sync_mode(start):
    """Threads without any loop send at once; each gets its own replies, large ones between."""
    process, wrong = start(), []

    def work(offset):
        for number in range(30):
            size = 200_000 if number % 10 == 0 else 10
            reply = srun(process.send, (lambda n, s: (n, b"x" * s), offset + number, size))
            if reply != (offset + number, b"x" * size):
                wrong.append(reply[0])

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_two_loops_two_threads_and_sync_mode(start):
    """All of them at the same time, on one process."""
    process, results = start(), queue.SimpleQueue()

    async def many(offset):
        async with asyncio.timeout(LIMIT):
            return await asyncio.gather(*[process.send((abs, offset + n)) for n in range(100)])

    def on_a_loop(offset):
        results.put((offset, asyncio.run(many(offset))))

    def without(offset):
        replies = [srun(process.send, (abs, offset + n), recv_timeout=LIMIT) for n in range(100)]
        results.put((offset, replies))

    threads = [
        threading.Thread(target=target, args=(1000 * n,))
        for n, target in enumerate([on_a_loop, on_a_loop, without, without])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in threads:
        offset, replies = results.get_nowait()
        assert replies == list(range(offset, offset + 100))


def test_srun_inside_a_running_loop(async_mode, start):
    """A sync send in a coroutine, while an asynchronous one is under way on the same process."""
    process = start()

    async def body(context_vars):
        before = asyncio.ensure_future(process.send((abs, -1)))
        await asyncio.sleep(0)
        now = srun(process.send, (abs, -2), recv_timeout=LIMIT)
        return await before, now

    assert async_mode.run(body) == (1, 2)


def test_one_loop_after_the_other(async_mode, start):
    """A loop that was closed is forgotten; the next one takes over."""
    process = start()
    for number in range(4):
        assert async_mode.run(process.send, (abs, -number), recv_timeout=LIMIT) == number


def test_a_loop_that_ended_with_a_send_pending(async_mode, start, tmp_path):
    """Its reply comes to nobody; the next loop's send gets its own."""
    process = start()
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)

    async def body(context_vars):
        task = asyncio.ensure_future(process.send((pathlib.Path(gate).read_text,)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_mode.run(process.send, (len, ""))
    async_mode.run(body)
    with open(gate, "w") as writer:
        writer.write("late")
    assert async_mode.run(process.send, (abs, -5), recv_timeout=LIMIT) == 5


def test_a_cancelled_send(async_mode, start, tmp_path):
    """Its late reply is dropped; the next send gets its own."""
    process = start()
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)

    async def body(context_vars):
        await process.send((len, ""))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.send((pathlib.Path(gate).read_text,)), 0.02)
        with open(gate, "w") as writer:
            writer.write("late")
        return await process.send((abs, -5), recv_timeout=LIMIT)

    assert async_mode.run(body) == 5


@pytest.mark.slow
def test_random_cancellations(async_mode, start):
    """Sends that are cancelled at any moment disturb no other one."""
    process, rng = start(), random.Random(5)

    async def one(number):
        size = rng.choice([1, 1, 100_000])
        reply = await process.send((lambda n, d: (n, len(d)), number, b"x" * size))
        assert reply == (number, size)
        return number

    async def body(context_vars):
        tasks = [asyncio.ensure_future(one(number)) for number in range(300)]
        victims = set(rng.sample(range(300), 120))
        for number in victims:
            asyncio.get_running_loop().call_later(rng.random() / 20, tasks[number].cancel)
        async with asyncio.timeout(LIMIT):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            if number not in victims:
                assert result == number
            else:
                assert result == number or isinstance(result, asyncio.CancelledError)
        return await process.send((abs, -7), recv_timeout=LIMIT)

    assert async_mode.run(body) == 7


def test_a_message_not_begun_is_withdrawn(async_mode, start, tmp_path):
    """Cancelled before anything of it has left, a message is never handled."""
    process = start()
    gate, mark = str(tmp_path / "gate"), tmp_path / "mark"
    os.mkfifo(gate)

    async def body(context_vars):
        await process.send((len, ""))
        gated = asyncio.ensure_future(process.send((pathlib.Path(gate).read_text,)))
        # Together more than the channel holds, and each too small to travel beside it.
        filling = [asyncio.ensure_future(process.send((len, b"x" * 50_000))) for _ in range(40)]
        withdrawn = asyncio.ensure_future(process.send((os.mkdir, str(mark))))
        await asyncio.sleep(0)
        withdrawn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await withdrawn
        with open(gate, "w") as writer:
            writer.write("go on")
        assert await gated == "go on"
        assert await asyncio.gather(*filling) == [50_000] * 40
        await process.send((len, ""))

    async_mode.run(body)
    assert not mark.exists()


@pytest.mark.slow
def test_large_messages_from_a_thread_and_a_loop(async_mode, start):
    """A thread sends a large message while the loop is busy, then the loop does: both arrive.

    What broke: the loop's watching for room was undone by what the thread had left for it.
    """
    process, data = start(), b"x" * 8_000_000

    async def body(context_vars):
        await process.send((len, b""))
        thread = threading.Thread(target=srun, args=(process.send, (len, data)))
        thread.start()
        thread.join()
        return await process.send((len, data), recv_timeout=LIMIT)

    assert async_mode.run(body) == len(data)


def test_8_processes(mode, start):
    """Several at once, each with a child of its own."""
    processes = [start() for _ in range(8)]
    assert len({mode.run(process.send, (os.getpid,)) for process in processes}) == 8


def test_started_from_a_thread(mode, start):
    """The child does not end with the thread that started it."""
    started = []
    thread = threading.Thread(target=lambda: started.append(start()))
    thread.start()
    thread.join()
    assert mode.run(started[0].send, (len, "abc")) == 3


class Counting(LocalHost):
    """Counts how many children it has started."""

    count = 0

    def launch(self, order):
        """Start one."""
        self.count += 1
        return super().launch(order)


def test_restarts_at_once(start, monkeypatch):
    """Threads that restart it at the same time get one new child, and none is left over."""
    host = Counting()
    process, closed = start(host=host), threading.Barrier(4)
    srun(process.send, (len, ""))

    def close(link, timeout, real=Link.close):
        real(link, timeout)
        closed.wait(LIMIT)

    with monkeypatch.context() as patched:
        patched.setattr(Link, "close", close)
        threads = [threading.Thread(target=process.restart) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
    assert srun(process.send, (len, "abc")) == 3
    assert host.count == 2


def test_who_restarts_a_dead_child_leaves_a_new_one_alone(start):
    """Another thread may have been faster."""
    process = start()
    dead = process._link
    process.restart()
    pid = process.pid
    process._restart(dead, 0)
    assert process.pid == pid
    assert srun(process.send, (len, "abc")) == 3
