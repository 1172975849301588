"""The thread that looks at quiet queues: when it does, for whom, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
import weakref

import pytest

from mt.aio.proc import _queue_lookout, _queue_poll, qget_aio

NAME = "mt-aio-queue-lookout"
pytestmark = pytest.mark.usefixtures("quiet_at_once")


async def _come_true(condition):
    """Wait, on the event loop, for what another thread does."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def _lines():
    return list(_queue_poll.poller().lines.values())


def _taken(count):
    """Whether the thread looks at so many queues for the running event loop."""
    requests = [line.request for line in _lines()]
    return sum(request is not None and request.taken for request in requests) == count


def _running():
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_the_event_loop_sleeps_meanwhile(async_mode, until):
    """Once the thread looks at all queues, no timer is left; items arrive, and the thread ends."""
    queues = [queue.SimpleQueue() for _ in range(3)]

    async def body(context_vars):
        getting = [asyncio.ensure_future(qget_aio(q)) for _ in range(10) for q in queues]
        await _come_true(lambda: _taken(3) and _queue_poll.poller()._timer is None)
        assert len(_running()) == 1
        producer = threading.Thread(target=lambda: [q.put(n) for n in range(10) for q in queues])
        producer.start()
        async with asyncio.timeout(20):
            got = await asyncio.gather(*getting)
        producer.join()
        return got

    assert async_mode.run(body) == [n for n in range(10) for _ in range(3)]
    until(lambda: not _running(), 20)


def test_it_looks_again_for_who_waits_again(async_mode):
    """Item by item, while somebody always waits; also if another consumer was quicker."""
    q = queue.SimpleQueue()

    async def body(context_vars):
        got, getting = [], [asyncio.ensure_future(qget_aio(q)) for _ in range(2)]
        for number in range(5):
            await _come_true(lambda: _taken(1))
            _lines()[0]._found(_lines()[0].request)  # as though there had been something
            await _come_true(lambda: _taken(1))
            q.put(number)
            async with asyncio.timeout(20):
                got.append(await getting.pop(0))
            getting.append(asyncio.ensure_future(qget_aio(q)))
        for task in getting:
            task.cancel()
        await asyncio.wait(getting)
        return got

    assert async_mode.run(body) == list(range(5))


def test_each_look_finds_what_has_come(async_mode, monkeypatch):
    """Not only every eighth, when the thread sees to who still waits."""
    monkeypatch.setattr(_queue_lookout, "LOOKS", 10**6)
    q = queue.SimpleQueue()

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(q))
        await _come_true(lambda: _taken(1))
        q.put("item")
        async with asyncio.timeout(20):
            return await getting

    assert async_mode.run(body) == "item"


def test_one_thread_for_all_event_loops(until):
    """Two of them, in threads of their own."""
    queues, got, seen = [queue.SimpleQueue() for _ in range(2)], [], threading.Barrier(3)

    async def consume(q):
        getting = asyncio.ensure_future(qget_aio(q))
        await _come_true(lambda: _taken(1))
        seen.wait(20)
        async with asyncio.timeout(20):
            got.append(await getting)

    threads = [threading.Thread(target=lambda q=q: asyncio.run(consume(q))) for q in queues]
    for thread in threads:
        thread.start()
    seen.wait(20)
    assert len(_running()) == 1
    for number, q in enumerate(queues):
        q.put(number)
    for thread in threads:
        thread.join()
    assert sorted(got) == [0, 1]


class Own(queue.SimpleQueue):
    """A queue of another make, which may be looked at by the thread of its event loop alone."""

    def __init__(self):
        self.looks, self.seen_from = 0, set()

    def empty(self):
        """Note who looks."""
        self.looks += 1
        self.seen_from.add(threading.get_ident())
        return super().empty()


def test_queues_of_other_makes(async_mode):
    """Nobody knows what their methods do: the event loop goes on looking."""
    q, quiet = Own(), queue.SimpleQueue()

    async def body(context_vars):
        getting = [asyncio.ensure_future(qget_aio(q)) for q in (q, quiet)]
        await _come_true(lambda: _taken(1))
        looks = q.looks
        await _come_true(lambda: q.looks > looks)
        q.put(1)
        quiet.put(2)
        async with asyncio.timeout(20):
            return await asyncio.gather(*getting)

    assert async_mode.run(body) == [1, 2]
    assert q.seen_from == {threading.get_ident()}


def test_who_wants_it_at_once(async_mode, monkeypatch):
    """An interval of next to nothing is no thread's business: it would never sleep."""
    monkeypatch.setattr(_queue_poll, "LONGEST", 0.02)
    q = queue.SimpleQueue()

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(q, aio_interval=1e-6))
        for _ in range(20):
            await asyncio.sleep(0)
            assert not any(line.request for line in _lines())
        q.put("item")
        async with asyncio.timeout(20):
            return await getting

    assert async_mode.run(body) == "item"


def test_no_thread_can_be_started(async_mode, until, monkeypatch):
    """The event loop goes on looking."""
    until(lambda: not _running(), 20)
    q, tried = queue.SimpleQueue(), []

    def refuse(thread):
        tried.append(thread.name)
        raise RuntimeError("can't start new thread")

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(q))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            await _come_true(lambda: tried)
        assert _queue_poll.poller()._timer is not None
        q.put("item")
        async with asyncio.timeout(20):
            return await getting

    assert async_mode.run(body) == "item"
    assert tried == [NAME]


@pytest.mark.parametrize("waits", ["for the timer", "for the thread"])
def test_a_loop_that_is_closed_under_who_waits(until, waits):
    """Nothing keeps it: the thread looks no more, and loop, task and queue can be collected."""
    count = 1 if waits == "for the thread" else 0
    q = queue.SimpleQueue() if count else Own()
    pending = set()

    async def body():
        pending.add(asyncio.ensure_future(qget_aio(q)))
        await _come_true(lambda: len(_lines()) == 1 and _taken(count))

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # a pending task is destroyed
    loop.run_until_complete(body())
    loop.close()
    gone = weakref.ref(loop)
    pending.clear()
    del loop
    until(lambda: gc.collect() is not None and gone() is None, 20)
    until(lambda: not _running(), 20)


@pytest.mark.slow
def test_forks_and_the_end_of_the_program(run_program):
    """A fork has a thread of its own; the interpreter exits while the thread sleeps."""
    out = run_program(
        """
        import asyncio, os, queue
        from mt.aio.proc import _queue_lookout, _queue_poll, qget_aio

        _queue_poll.PART, _queue_poll.MOST, _queue_poll.LONGEST = 1e-9, 10**6, 0.01

        async def get(cancel=False):
            loop, q = asyncio.get_running_loop(), queue.SimpleQueue()
            loop.slow_callback_duration = 20  # the machine may be busy
            getting = asyncio.ensure_future(qget_aio(q, timeout=20))
            await asyncio.sleep(0)
            (line,) = _queue_poll._pollers[id(loop)].lines.values()
            while line.request is None or not line.request.taken:
                await asyncio.sleep(0.001)
            if cancel:
                getting.cancel()
                return "cancelled"
            q.put("item")
            return await getting

        print(asyncio.run(get()), flush=True)
        with _queue_lookout.lookout()._lock:  # as a thread may in the very moment of the fork
            fork = os.fork()
            if fork == 0:
                print(asyncio.run(get()), flush=True)
                os._exit(0)
        os.waitpid(fork, 0)
        _queue_poll.LONGEST = 600
        print(asyncio.run(get(cancel=True)))
        """,
        "-W",
        "ignore::DeprecationWarning",
    )
    assert out.split() == ["item", "item", "cancelled"]
