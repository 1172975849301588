"""qput_aio and qget_aio with many users at once: no item lost, none twice, no loop blocked."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import pytest

from mt.aio.proc import qget_aio, qput_aio

LIMIT = 20
pytestmark = pytest.mark.slow


def test_50_consumers_with_random_cancellations(async_mode, any_queue, with_heartbeat):
    """Every item reaches exactly one consumer, whoever is cancelled when; the loop never stops."""
    rng, count, got = random.Random(3), 400, []

    async def consume():
        while True:
            got.append(await qget_aio(any_queue))

    async def body():
        consumers = [asyncio.ensure_future(consume()) for _ in range(50)]
        producer = threading.Thread(target=lambda: [any_queue.put(n) for n in range(count)])
        producer.start()
        for _ in range(60):
            victim = rng.randrange(50)
            consumers[victim].cancel()
            await asyncio.sleep(rng.random() / 500)
            consumers[victim] = asyncio.ensure_future(consume())
        while len(got) < count or producer.is_alive():
            await asyncio.sleep(0.001)
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)

    async def measured(context_vars):
        return await with_heartbeat(body())

    _, ticks = async_mode.run(measured)
    assert sorted(got) == list(range(count))
    assert ticks >= 20


def test_producers_and_consumers_on_two_loops(bounded):
    """A small queue between two loops in two threads: all items pass, none twice."""
    q, count, got = bounded(2), 200, []

    async def produce(offset):
        for number in range(offset, count, 4):
            await qput_aio(q, number)

    async def produce_all():
        await asyncio.gather(*[produce(offset) for offset in range(4)])

    async def consume():
        while True:
            item = await qget_aio(q, timeout=LIMIT)
            if item == count:
                return
            got.append(item)

    thread = threading.Thread(target=lambda: asyncio.run(produce_all()))
    consumer = threading.Thread(target=lambda: asyncio.run(consume()))
    thread.start()
    consumer.start()
    thread.join()
    while len(got) < count and consumer.is_alive():
        time.sleep(0.001)
    q.put(count)
    consumer.join()
    assert sorted(got) == list(range(count))


def test_another_process(run_program):
    """Items travel to a process of multiprocessing and back."""
    out = run_program("""
        import asyncio
        import multiprocessing
        from mt.aio.proc import qget_aio, qput_aio

        def forward(source, target):
            for item in iter(source.get, None):
                target.put(item)
            target.put(None)

        async def fill(source):
            for number in range(20):
                await qput_aio(source, number)
            await qput_aio(source, None)

        async def main(source, target):
            asyncio.get_running_loop().slow_callback_duration = 5  # the machine may be busy
            filling = asyncio.ensure_future(fill(source))
            items = []
            while (item := await qget_aio(target, timeout=20)) is not None:
                items.append(item)
            await filling
            return items

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            source, target = context.Queue(2), context.Queue(2)
            process = context.Process(target=forward, args=(source, target))
            process.start()
            print(asyncio.run(main(source, target)) == list(range(20)))
            process.join()
    """)
    assert out == "True\n"
