"""What CPython's own tests ask of a queue, asked of each kind through qput_aio and qget_aio."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import sys
import threading
import time

import pytest

from mt.aio.core import srun
from mt.aio.proc import qget_aio, qput_aio

pytestmark = pytest.mark.usefixtures("manager")  # from the beginning: its process takes time
CONTEXT = multiprocessing.get_context("spawn")
UNBOUNDED = ["queue.SimpleQueue", "mp.SimpleQueue"]
BOUNDED = ["queue.Queue", "queue.LifoQueue", "queue.PriorityQueue", "mp.Queue", "mp.JoinableQueue"]
PROXIES = ["proxy of Queue", "proxy of JoinableQueue"]
SLOW_PROXIES = [pytest.param(kind, marks=pytest.mark.slow) for kind in PROXIES]


@pytest.fixture
def make(manager):
    """Make queues by the name of their kind, and leave nothing of them behind."""
    made = []

    def make(kind, *size):
        where, _, name = kind.rpartition(".")
        if kind in PROXIES:
            q = getattr(manager, kind.removeprefix("proxy of "))(*size)
        else:
            q = getattr(queue if where == "queue" else CONTEXT, name)(*size)
        made.append(q)
        return q

    yield make
    for q in made:
        if hasattr(q, "_reader"):
            if hasattr(q, "join_thread"):
                q.close()
                q.join_thread()
            q._reader.close()
            q._writer.close()


@pytest.fixture(params=[*BOUNDED, *SLOW_PROXIES])
def full(request, make):
    """Give a queue with room for two, with 111 and 222 in it."""
    q = make(request.param, 2)
    q.put(111)
    q.put(222)
    return q


@pytest.fixture(params=[*BOUNDED, *UNBOUNDED, *SLOW_PROXIES])
def empty(request, make):
    """Give an empty queue without a limit."""
    return make(request.param)


async def drained(q, count):
    """Get so many items."""
    return [await qget_aio(q, timeout=20) for _ in range(count)]


@pytest.mark.slow
def test_the_order_is_the_queues(async_mode, make, order_of_kinds):
    """Items come out first in first out, last in first out, or the least first."""

    async def body(context_vars):
        for kind, expected in order_of_kinds.items():
            q = make(kind)
            for item in (222, 333, 111):
                await qput_aio(q, item)
            assert await drained(q, 3) == expected, kind
            with pytest.raises(queue.Empty):
                await qget_aio(q, block=False)

    async_mode.run(body)


@pytest.fixture
def order_of_kinds():
    """Tell the order of 222, 333 and 111 for each kind."""
    order = {kind: [222, 333, 111] for kind in [*BOUNDED, *UNBOUNDED, *PROXIES]}
    return order | {"queue.LifoQueue": [111, 333, 222], "queue.PriorityQueue": [111, 222, 333]}


def test_a_full_queue_refuses(async_mode, full):
    """A put that may not wait, or waits in vain, raises Full and puts nothing."""

    async def body(context_vars):
        with pytest.raises(queue.Full):
            await qput_aio(full, 333, block=False)
        with pytest.raises(queue.Full):
            await qput_aio(full, 333, timeout=0)
        with pytest.raises(queue.Full):
            await qput_aio(full, 333, timeout=0.05)
        assert sorted(await drained(full, 2)) == [111, 222]
        with pytest.raises(queue.Empty):
            await qget_aio(full, timeout=0.02)

    async_mode.run(body)


def test_an_empty_queue_refuses(async_mode, empty):
    """A get that may not wait, or waits in vain, raises Empty."""

    async def body(context_vars):
        with pytest.raises(queue.Empty):
            await qget_aio(empty, block=False)
        with pytest.raises(queue.Empty):
            await qget_aio(empty, timeout=0)
        with pytest.raises(queue.Empty):
            await qget_aio(empty, timeout=0.05)

    async_mode.run(body)


@pytest.mark.parametrize("timeout", [None, 20])
def test_a_put_goes_on_when_there_is_room(async_mode, full, timeout):
    """A put that waits ends once something is taken by a thread, and the item is in the queue."""

    async def body(context_vars):
        putting = asyncio.ensure_future(qput_aio(full, 333, timeout=timeout))
        await asyncio.sleep(0.01)
        assert not putting.done()
        taken = await asyncio.to_thread(full.get)
        async with asyncio.timeout(20):
            await putting
        return [taken, *await drained(full, 2)]

    assert sorted(async_mode.run(body)) == [111, 222, 333]


@pytest.mark.parametrize("timeout", [None, 20])
def test_a_get_goes_on_when_there_is_an_item(async_mode, empty, timeout):
    """A get that waits ends once a thread has put something."""

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(empty, timeout=timeout))
        await asyncio.sleep(0.01)
        assert not getting.done()
        await asyncio.to_thread(empty.put, 5)
        async with asyncio.timeout(20):
            return await getting

    assert async_mode.run(body) == 5


def test_many_wait_and_each_gets_one(async_mode, empty):
    """50 consumers on one loop: 50 items, one for each; none is woken for another's."""

    async def body(context_vars):
        consumers = [asyncio.ensure_future(qget_aio(empty)) for _ in range(50)]
        await asyncio.sleep(0.01)
        threading.Thread(target=lambda: [empty.put(n) for n in range(50)]).start()
        async with asyncio.timeout(20):
            return await asyncio.gather(*consumers)

    assert sorted(async_mode.run(body)) == list(range(50))


@pytest.mark.slow
def test_a_crowd_waits(async_mode, empty):
    """A thousand, at one kind, need one thread at most; one gets the item, all can be cancelled."""
    crowd = 1000 if type(empty) is queue.Queue else 200

    async def body(context_vars):
        before = threading.active_count()
        waiting = []
        for _ in range(crowd // 50):  # not all in one turn, a long one in debug mode
            waiting += [asyncio.ensure_future(qget_aio(empty)) for _ in range(50)]
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        threads = threading.active_count() - before
        await qput_aio(empty, 5)
        done, rest = await asyncio.wait(waiting, return_when="FIRST_COMPLETED", timeout=20)
        for number, task in enumerate(rest):
            task.cancel()
            if number % 50 == 0:
                await asyncio.sleep(0)
        await asyncio.wait(rest)
        return threads, [task.result() for task in done], sum(t.cancelled() for t in rest)

    threads, got, cancelled = async_mode.run(body)
    assert threads <= 1
    assert (got, cancelled) == ([5], crowd - 1)


def test_items_come_back_as_they_were(async_mode, empty):
    """None, falsy objects, containers and long bytes are items like others."""
    items = [None, 0, "", b"x" * 200_000, (1, [2, {"three": 3}]), "é"]
    if isinstance(empty, queue.PriorityQueue):
        items = [b"", b"a", b"x" * 200_000]

    async def body(context_vars):
        back = []
        for item in items:
            await qput_aio(empty, item)
            back.append(await qget_aio(empty, timeout=20))
        return back

    assert async_mode.run(body) == items


@pytest.mark.slow
def test_tasks_are_counted(async_mode, make):
    """`task_done` and `join` go with the two functions as they do with put and get."""

    async def body(context_vars):
        for kind in ("queue.Queue", "mp.JoinableQueue", *PROXIES):
            q = make(kind)
            for number in range(3):
                await qput_aio(q, number)
            await drained(q, 3)
            for _ in range(3):
                q.task_done()
            q.join()
            with pytest.raises(ValueError, match="too many"):
                q.task_done()

    async_mode.run(body)


def test_synchronous_mode(full, empty):
    """With a synchronous context the functions block as put and get do; srun can run them."""
    assert sorted([srun(qget_aio, full), srun(qget_aio, full, timeout=20)]) == [111, 222]
    with pytest.raises(queue.Empty):
        srun(qget_aio, empty, block=False)
    begin = time.monotonic()
    with pytest.raises(queue.Empty):
        srun(qget_aio, empty, timeout=0.05)
    assert time.monotonic() - begin >= 0.045
    srun(qput_aio, empty, 5)
    srun(qput_aio, empty, 6, timeout=20)
    assert sorted([srun(qget_aio, empty), srun(qget_aio, empty, timeout=20)]) == [5, 6]


@pytest.mark.parametrize("kind", BOUNDED)
def test_synchronous_mode_and_a_full_queue(make, kind):
    """Full is raised at once, or when time is up."""
    q = make(kind, 1)
    srun(qput_aio, q, 1)
    with pytest.raises(queue.Full):
        srun(qput_aio, q, 2, block=False)
    with pytest.raises(queue.Full):
        srun(qput_aio, q, 2, timeout=0.02)
    with pytest.raises(ValueError, match="timeout"):
        srun(qput_aio, q, 2, timeout=-1)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queues have no shutdown yet")
@pytest.mark.parametrize("immediate", [False, True])
def test_a_queue_that_has_been_shut_down(async_mode, make, immediate):
    """What is left can be got, unless it was shut down at once; then it is ShutDown for both."""

    async def body(context_vars):
        q = make("queue.Queue", 2)
        await qput_aio(q, 1)
        q.shutdown(immediate)
        if not immediate:
            assert await qget_aio(q) == 1
        with pytest.raises(queue.ShutDown):
            await qget_aio(q)
        with pytest.raises(queue.ShutDown):
            await qput_aio(q, 2)

    async_mode.run(body)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queues have no shutdown yet")
@pytest.mark.parametrize("immediate", [False, True])
def test_a_shutdown_wakes_all_beside_a_thread(async_mode, make, immediate):
    """Each of several waiting coroutines gets ShutDown, also if a thread waits, too."""

    async def body(context_vars):
        q = make("queue.Queue")
        waiting = [asyncio.ensure_future(qget_aio(q)) for _ in range(5)]
        thread = asyncio.ensure_future(asyncio.to_thread(q.get))
        await asyncio.sleep(0.02)
        q.shutdown(immediate)
        async with asyncio.timeout(20):
            return await asyncio.gather(*waiting, thread, return_exceptions=True)

    assert {type(error) for error in async_mode.run(body)} == {queue.ShutDown}
