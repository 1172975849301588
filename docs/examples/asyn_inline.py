from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mt.aio.core import enter, iterate
from mt.aio.core.lowlevel import ContextVars


async def numbers(limit: int, context_vars: ContextVars) -> AsyncIterator[int]:
    for number in range(limit):
        yield number


@asynccontextmanager
async def counted(context_vars: ContextVars) -> AsyncIterator[list[int]]:
    seen: list[int] = []
    yield seen
    print(len(seen), "numbers")


SYNC = {"async": False}

with enter(counted(SYNC)) as seen:  # plain code
    for number in iterate(numbers(4, SYNC)):
        seen.append(number)
