"""Staying awake between jobs that come one right after the other.

Who awaits one job after the other wakes the worker for each, and is woken in turn. A system that
has idle cores puts the two on different ones and lets each core sleep while the other works; to
wake it takes longer than all the rest (tens of microseconds for a virtual core). So a worker whose
last job came at once looks out for the next one for a moment, and sleeps only then. It gives way to
whoever wants the core or the interpreter lock, and the system, which sees that there is no second
core's worth of work, mostly lets the two share one core.

What it costs at most is MOMENT after the last of a row of jobs.
"""

from __future__ import annotations

import os
from queue import SimpleQueue
from time import perf_counter
from typing import Generic, TypeVar

MOMENT = 100e-6  # seconds; arbitrary: some times what a loop needs to go on with the next job

T = TypeVar("T")

_give_way = getattr(os, "sched_yield", None)  # None on Windows: there it sleeps at once


class Lookout(Generic[T]):
    """How one thread waits for what comes through a queue that it alone reads."""

    __slots__ = ("brisk", "jobs")

    def __init__(self, jobs: SimpleQueue[T]) -> None:
        self.jobs = jobs
        self.brisk = False  # whether the last one came within a moment, and was waited for

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
        job = jobs.get()
        self.brisk = perf_counter() - begin < MOMENT
        return job
