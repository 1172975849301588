from contextlib import asynccontextmanager
from threading import Thread

from mt.aio.core import enter, iterate, lock

SYNC = {"async": False}
total = 0


async def numbers(limit, context_vars):
    for number in range(limit):
        yield number


@asynccontextmanager
async def locked(door, context_vars):
    async with door:
        yield "inside"


def add(door):
    """Plain code, in a thread, with somebody else's asynchronous iterator and context manager."""
    global total
    for number in iterate(numbers(4, SYNC)):
        with enter(locked(door, SYNC)):
            total += number


door = lock(context_vars=SYNC)
threads = [Thread(target=add, args=[door]) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(total)
