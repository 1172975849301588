"""No item is lost or doubled, whoever is cancelled or runs out of time: every item is counted."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import random
import threading
import time

import pytest

from mt.aio.proc import qget_aio, qput_aio

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("manager")]
CONTEXT = multiprocessing.get_context("spawn")
COUNT, CONSUMERS, PRODUCERS = 400, 10, 3
KINDS = {
    "queue.Queue": lambda _: queue.Queue(),
    "queue.Queue, 3 places": lambda _: queue.Queue(3),
    "queue.PriorityQueue, 1 place": lambda _: queue.PriorityQueue(1),
    "queue.SimpleQueue": lambda _: queue.SimpleQueue(),
    "queue.SimpleQueue, quiet": lambda _: queue.SimpleQueue(),
    "mp.Queue": lambda _: CONTEXT.Queue(),
    "mp.Queue, 3 places": lambda _: CONTEXT.Queue(3),
    "mp.JoinableQueue, 1 place": lambda _: CONTEXT.JoinableQueue(1),
    "mp.SimpleQueue": lambda _: CONTEXT.SimpleQueue(),
    "proxy": lambda manager: manager.Queue(),
    "proxy, 3 places": lambda manager: manager.Queue(3),
}


@pytest.fixture(params=KINDS)
def q(request, manager, ending):
    """Give a queue of each kind."""
    if "quiet" in request.param:
        request.getfixturevalue("quiet_at_once")
    q = KINDS[request.param](manager)
    return q if "proxy" in request.param else ending(q)


async def _put_until_it_is_in(q, item, rng):
    """Put an item; whenever that is cancelled or takes too long, put it again."""
    while True:
        task = asyncio.ensure_future(qput_aio(q, item, timeout=rng.choice([None, 0, 0.001, 5])))
        if rng.random() < 0.4:
            await asyncio.sleep(rng.random() * 0.001)
            task.cancel()
        await asyncio.wait([task])
        if task.cancelled() or isinstance(task.exception(), queue.Full):
            continue
        assert task.exception() is None
        return


async def _produce(q, first, seed):
    rng = random.Random(seed)
    for item in range(first, COUNT, PRODUCERS):
        await _put_until_it_is_in(q, item, rng)


async def _consume(q, got, rng):
    while True:
        try:
            got.append(await qget_aio(q, timeout=rng.choice([None, 0, 0.002, 5])))
        except queue.Empty:
            await asyncio.sleep(0)


async def _consume_and_cancel(q, got, stop, seed):
    """Keep consumers going, each cancelled at some moment and replaced."""
    rng = random.Random(seed)
    tasks = [asyncio.ensure_future(_consume(q, got, rng)) for _ in range(CONSUMERS)]
    while not stop.is_set():
        await asyncio.sleep(rng.random() * 0.002)
        tasks.append(asyncio.ensure_future(_consume(q, got, rng)))
        victim = tasks.pop(rng.randrange(CONSUMERS))
        victim.cancel()
        await asyncio.wait([victim])
        assert victim.cancelled()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.mark.parametrize("seed", range(2))
def test_every_item_arrives_once(q, seed):
    """Two loops consume, two produce, 40 % of the puts and many gets are cancelled."""
    got, stop = [], threading.Event()
    consumers = [
        threading.Thread(
            target=lambda n=n: asyncio.run(_consume_and_cancel(q, got, stop, seed + n))
        )
        for n in range(2)
    ]
    producers = [
        threading.Thread(target=lambda n=n: asyncio.run(_produce(q, n, seed + n)))
        for n in range(PRODUCERS)
    ]
    for thread in consumers + producers:
        thread.start()
    for thread in producers:
        thread.join()
    deadline = time.monotonic() + 20
    while len(got) < COUNT and time.monotonic() < deadline:
        time.sleep(0.005)
    stop.set()
    for thread in consumers:
        thread.join()
    assert sorted(got) == list(range(COUNT))
