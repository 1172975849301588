"""Threads that compress and decompress for one reading or writing.

They belong to the call: started by it, ended with it, so that nothing is left to shut down or to
survive a fork, and so that the few threads through which all file work goes stay free. There are
as many as the process may use cores, in both modes: the one thread that talks to HDF5 (a worker
in asynchronous mode, the caller's own in synchronous mode) hands chunks out and takes results in,
in their order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# What chunks on their way may take up together, in bytes. Arbitrary: with what HDF5 itself keeps
# it stays below the 64 MiB that are promised.
MEMORY = 40 * 2**20

# A job is to be worth its hand-over (some 50 microseconds); small chunks travel together.
JOB_BYTES = 2**18


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Put items together so that a job has enough to do, where each means `size` bytes."""
    count = max(1, JOB_BYTES // max(1, size))
    rest = iter(items)
    while batch := list(islice(rest, count)):
        yield batch


@contextmanager
def mapped(func: Callable[[T], R], items: Iterable[T], cost: int) -> Iterator[Iterator[R]]:
    """Apply a function in threads; give the results in the order of the items.

    The items are taken in this thread, and not faster than the results are.

    Args:
        func: what to do with an item; it must not touch HDF5
        items: whatever `func` takes
        cost: the bytes of memory that an item on its way takes up
    """
    window = max(2, min(2 * cores() + 2, MEMORY // max(1, cost)))
    with closing(_mapped(func, items, window)) as results:
        yield results


def _mapped(func: Callable[[T], R], items: Iterable[T], window: int) -> Generator[R, None, None]:
    from concurrent.futures import Future, ThreadPoolExecutor

    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(min(cores(), window), thread_name_prefix="mt-aio-h5") as threads:
        try:
            for item in items:
                pending.append(threads.submit(func, item))
                del item  # it is large, and not needed here any more
                if len(pending) >= window:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
