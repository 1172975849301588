"""The worker threads behind `offload`: a few for the whole process, none before they are needed.

Rules, each of which something relies on:

* At most BASE threads work as long as jobs get done. That bounds the open files of any number of
  concurrent operations, and is faster for cached files than many threads are. Only when jobs wait
  and none has been finished for STALL seconds (a slow disk, a network mount that hangs) are more
  started, up to MOST; they end when the rush is over.
* A job is claimed once: by the thread that runs it or by the caller that withdraws it.
* Jobs with an equal order key form a lane: only the first of them is in the queue.
* A forked child starts from nothing: threads do not survive a fork, and neither do jobs.
* Jobs that somebody was promised (`kept`) are finished before the interpreter exits.

Not promised: fairness between event loops, or an order between jobs of different keys.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any

BASE = 4  # arbitrary, as all numbers here: 1 to 4 threads beat 32 for cached files
MOST = 32
STALL = 0.01
EXIT_PATIENCE = 30.0


class Job:
    """A blocking call on its way through a worker thread.

    `settle` is called in the worker thread when the job has been run; `given_up` tells whether
    whoever waits for it has lost interest.
    """

    __slots__ = (
        "_claim",
        "args",
        "cancelled",
        "context",
        "error",
        "func",
        "kept",
        "order",
        "result",
    )

    def __init__(
        self, func: Callable[..., Any], args: tuple[Any, ...], order: Hashable | None, *, kept: bool
    ) -> None:
        self.func: Any = func  # None when it has been run or withdrawn, as the context is
        self.args = args
        self.order = order
        self.kept = kept
        self.context: Any = copy_context()
        self.cancelled = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._claim = [True]

    def claim(self) -> bool:
        """Take the job, to run it or to withdraw it; True for the first who asks."""
        try:
            return self._claim.pop()
        except IndexError:
            return False

    def withdraw(self) -> bool:
        """Take the job out of the workers' reach, unless one has it already."""
        if not self.claim():
            return False
        self._release()
        return True

    def given_up(self) -> bool:
        return self.cancelled

    def run(self) -> None:
        """Call the function and keep what came of it."""
        if self.given_up() or not self.claim():
            self._release()
            return
        _current.job = self
        try:
            self.result = self.context.run(self.func, *self.args)
        except BaseException as exc:  # noqa: BLE001 - it belongs to whoever waits for the job
            self.error = exc
        finally:
            _current.job = None
            self._release()

    def settle(self) -> None:
        """Hand the outcome over."""

    def describe(self) -> str:
        """Name the job for a log line, also when it has been run."""
        return f"{self.order}" if self.order is not None else "a job"

    def _release(self) -> None:
        """Let go of arguments, which may be large, as soon as they are of no use."""
        self.func = self.context = None
        self.args = ()


class Pool:
    """The queue, the threads and the lanes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self.threads = 0
        self.pending = 0  # in the queue or being run
        self.finished = 0
        self.lanes: dict[Hashable, deque[Job]] = {}
        self.kept: dict[int, Job] = {}
        self.nothing_kept = threading.Condition(self.lock)
        self.watched = False
        self.rush: SimpleQueue[None] = SimpleQueue()
        self.watcher = False

    def put(self, job: Job) -> None:
        """Queue a job, behind those of its lane."""
        with self.lock:
            if job.kept:
                self.kept[id(job)] = job
            if job.order is not None:
                if job.order in self.lanes:
                    self.lanes[job.order].append(job)
                    return
                self.lanes[job.order] = deque()
            start = self._enqueue(job)
        self._start(start)

    def _enqueue(self, job: Job) -> int:
        """Queue a job (the lock is held); return how many threads to start for it."""
        self.pending += 1
        self.jobs.put(job)
        if self.pending <= self.threads:
            return 0
        if self.threads < BASE:
            self.threads += 1
            return 1
        if not self.watched:
            self.watched = True
            if not self.watcher:
                self.watcher = _started(self._watch, "mt-aio-watch")
            self.rush.put(None)
        return 0

    def _start(self, count: int) -> None:
        for done in range(count):
            if not _started(self._work, "mt-aio-worker"):
                with self.lock:
                    self.threads -= count - done
                return

    def _work(self) -> None:
        """Run jobs for ever, or, for a thread beyond BASE, until the rush is over."""
        while True:
            job = self.jobs.get()
            job.run()
            job.settle()
            with self.lock:
                self.pending -= 1
                self.finished += 1
                start = self._leave_lane(job)
                if job.kept:
                    del self.kept[id(job)]
                    if not self.kept:
                        self.nothing_kept.notify_all()
                retire = self.threads > BASE and self.pending < self.threads
                if retire:
                    self.threads -= 1
            del job  # or its result would live on until the next one comes
            self._start(start)
            if retire:
                return

    def _leave_lane(self, job: Job) -> int:
        """Let the next job of the lane go (the lock is held)."""
        if job.order is None:
            return 0
        lane = self.lanes[job.order]
        if lane:
            return self._enqueue(lane.popleft())
        del self.lanes[job.order]
        return 0

    def _watch(self) -> None:
        """While jobs wait, look whether any gets done; if none does, add threads."""
        while True:
            self.rush.get()
            waiting = True
            while waiting:
                seen = self.finished
                time.sleep(STALL)
                start = 0
                with self.lock:
                    waiting = self.watched = self.pending > self.threads
                    if waiting and self.finished == seen:
                        start = min(MOST - self.threads, self.threads, self.pending - self.threads)
                        self.threads += start
                self._start(start)

    def wait_for(self, order: Hashable) -> None:
        """Wait until the jobs that are in this lane now have been run."""
        if getattr(_current, "job", None) is not None:
            return  # a job must not wait for its own lane
        gate = threading.Event()
        with self.lock:
            if order not in self.lanes:
                return
            self.lanes[order].append(Job(gate.set, (), order, kept=False))
        gate.wait()

    def drain(self) -> None:
        """Wait for the jobs that somebody was promised; say which did not make it."""
        with self.nothing_kept:
            if not self.nothing_kept.wait_for(lambda: not self.kept, EXIT_PATIENCE):
                names = ", ".join(sorted(job.describe() for job in self.kept.values()))
                logger.error("not finished %g s after the end: %s", EXIT_PATIENCE, names)


def _started(target: Callable[[], None], name: str) -> bool:
    """Start a thread; from Python 3.12 on that is refused once the interpreter is ending."""
    try:
        threading.Thread(target=target, name=name, daemon=True).start()
    except RuntimeError:
        return False  # those that run already do the rest
    return True


def put(job: Job) -> None:
    """Queue a job in the process's pool."""
    _pool.put(job)


def wait_for(order: Hashable) -> None:
    """Wait until the jobs issued so far under this key have been run."""
    _pool.wait_for(order)


def check_cancelled() -> None:
    """Raise if the job that this thread runs has been given up."""
    job = getattr(_current, "job", None)
    if job is not None and job.given_up():
        from asyncio import CancelledError

        raise CancelledError


def _renew() -> None:
    """Start from nothing, in a forked child."""
    global _pool  # noqa: PLW0603 - one pool per process
    _pool = Pool()
    _current.__dict__.clear()


def drain() -> None:
    """Wait for the jobs that somebody was promised."""
    _pool.drain()


logger = logging.getLogger("mt.aio.core")
_current = threading.local()
_pool = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
