"""Staying awake between jobs that come one right after the other.

Who awaits one job after the other wakes the worker for each, and is woken in turn. A system that
has idle cores puts the two on different ones and lets each core sleep while the other works; to
wake it takes longer than all the rest (tens of microseconds for a virtual core). So a worker whose
last job came at once looks out for the next one for a moment, and sleeps only then.

Between two looks it first gives way to whoever wants the core: where the loop's thread is to run on
the same one, the next job is there when the worker has its turn again. Then it is busy with
something that leaves the interpreter lock alone. Each look takes that lock; if the loop's thread
has it by then, the worker sleeps for it, and if the loop's thread wants it, that one does: to look
without a pause costs as many wake-ups as to sleep.

What it costs at most is MOMENT and a pause after the last of a row of jobs.
"""

from __future__ import annotations

import os
from binascii import crc32
from queue import SimpleQueue
from time import perf_counter
from typing import Generic, TypeVar

MOMENT = 100e-6  # seconds; arbitrary: some times what a loop needs to go on with the next job
PAUSE = 50e-6  # likewise: about what it needs, with its own waking up

T = TypeVar("T")

_give_way = getattr(os, "sched_yield", None)  # None on Windows: there it sleeps at once

# What a pause is spent with: a checksum of zeros, during which Python lets go of its lock if they
# are more than 5 KiB. They take no memory as long as they are only read.
_ZEROS = memoryview(bytes(2**20))
LEAST = 2**13


class Lookout(Generic[T]):
    """How one thread waits for what comes through a queue that it alone reads."""

    __slots__ = ("brisk", "jobs", "zeros")

    def __init__(self, jobs: SimpleQueue[T]) -> None:
        self.jobs = jobs
        self.brisk = False  # whether the last one came within a moment, and was waited for
        self.zeros = LEAST  # that take about a PAUSE

    def get(self) -> T:
        """Wait for the next one."""
        jobs = self.jobs
        if _give_way is None or not jobs.empty():
            self.brisk = False
            return jobs.get()
        begin = perf_counter()
        if self.brisk:
            while jobs.empty() and perf_counter() - begin < MOMENT:
                _give_way()
                if jobs.empty():
                    self.pause()
        job = jobs.get()
        self.brisk = perf_counter() - begin < MOMENT
        return job

    def pause(self) -> None:
        """Be busy for a PAUSE, more or less, without the interpreter lock."""
        begin = perf_counter()
        crc32(_ZEROS[: self.zeros])
        taken = perf_counter() - begin
        if taken < PAUSE / 2:
            self.zeros = min(2 * self.zeros, len(_ZEROS))
        elif taken > 2 * PAUSE:
            self.zeros = max(self.zeros // 2, LEAST)
