"""The worker threads behind `offload`: a few for the whole process, none before they are needed.

Rules, each of which something relies on:

* One thread serves the queue as long as jobs get done: for cached files that is faster than many
  are, and it bounds the open files of any number of concurrent operations. When jobs wait and
  those that run are slow (a disk, a network mount that hangs), a watcher adds threads, up to
  MOST; those that are of no use any more step back, and all but BASE end.
* Completions may be held back while more jobs wait, so that one wake-up of an event loop delivers
  many. The watcher sends what is held every TICK, should a worker get stuck meanwhile. So it is
  on duty whenever a job waits behind another or a completion is held; else it sleeps.
* A job is claimed once: by the thread that runs it or by the caller that withdraws it.
* Jobs with an equal order key form a lane: only the first of them is in the queue.
* A forked child starts from nothing: threads do not survive a fork, and neither do jobs.
* Jobs that somebody was promised (`kept`) are finished before the interpreter exits.

The way of a job without a key takes no lock: what is shared there are containers whose single
operations are atomic, and flags of which a stale reading costs time only.

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
from queue import Empty, SimpleQueue
from typing import Any, Protocol

BASE = 4  # arbitrary, as all numbers here: threads that stay when there is nothing to do
MOST = 32
TICK = 0.002  # seconds, as those below
SLOW = 0.001  # jobs that take longer on average gain from more threads, unless they compute
STALL = 0.01  # nothing done for so long: more threads, even if the processor is busy
LINGER = 0.05
EXIT_PATIENCE = 30.0
_BUSY = 0.6  # of a core, used by the process


class Held(Protocol):
    """What has completions to deliver."""

    def send(self) -> None:
        """Deliver them."""


class Job:
    """A blocking call on its way through a worker thread.

    `settle` is called in the worker thread when the job has been run; `given_up` tells whether
    whoever waits for it has lost interest.
    """

    __slots__ = (
        "_unclaimed",
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
        self._unclaimed = True

    def withdraw(self) -> bool:
        """Take the job out of the workers' reach, unless one has it already."""
        try:
            del self._unclaimed  # which works once, and for one thread
        except AttributeError:
            return False
        self._release()
        return True

    def given_up(self) -> bool:
        return self.cancelled

    def run(self, cell: list[Job | None]) -> None:
        """Call the function and keep what came of it; the cell tells it for whom."""
        if self.kept and self.given_up():
            self.withdraw()
        try:
            del self._unclaimed
        except AttributeError:  # withdrawn
            return
        cell[0] = self
        try:
            self.result = self.context.run(self.func, *self.args)
        except BaseException as exc:  # noqa: BLE001 - it belongs to whoever waits for the job
            self.error = exc
        cell[0] = None
        self._release()

    def settle(self, held: set[Held], hold: bool) -> None:
        """Hand the outcome over; or let it be held until a later one goes, or the next tick."""

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
        self.running: set[Job] = set()
        self.finished = 0  # roughly: two threads may count as one
        self.lanes: dict[Hashable, deque[Job] | None] = {}  # None: nobody waits yet
        self.kept: dict[int, Job] = {}
        self.nothing_kept = threading.Condition(self.lock)
        self.held: set[Held] = set()
        # How many threads take jobs, how many should at most, and those in reserve.
        self.serving = 0
        self.wanted = 1
        self.parked = 0
        self.reserve: SimpleQueue[None] = SimpleQueue()
        self.watcher: threading.Thread | None = None
        self.watched = False  # whether the watcher is on duty
        self.duty: SimpleQueue[None] = SimpleQueue()

    @property
    def pending(self) -> int:
        """How many jobs are in the queue or being run."""
        return self.jobs.qsize() + len(self.running)

    def put(self, job: Job) -> None:
        """Queue a job, behind those of its lane."""
        if not self.serving:
            self._begin()
        if (job.order is not None or job.kept) and not self._enter_lane(job):
            return
        self.jobs.put(job)
        if not self.watched and self.jobs.qsize() + len(self.running) > self.serving:
            self._call_watcher()

    def _enter_lane(self, job: Job) -> bool:
        """Note a job that others depend on; say whether it may be queued now."""
        with self.lock:
            if job.kept:
                self.kept[id(job)] = job
            if job.order is None:
                return True
            if job.order not in self.lanes:
                self.lanes[job.order] = None
                return True
            self._wait_in_lane(job)
            return False

    def _wait_in_lane(self, job: Job) -> None:
        lane = self.lanes[job.order]
        if lane is None:
            lane = self.lanes[job.order] = deque()
        lane.append(job)

    def _leave_lane(self, job: Job) -> None:
        """Let the next job of the lane go."""
        with self.lock:
            lane = self.lanes[job.order]
            if not lane:
                del self.lanes[job.order]
                return
            following = lane.popleft()
        self.jobs.put(following)

    def _begin(self) -> None:
        """Start the first thread."""
        with self.lock:
            if not self.serving:
                _start(self._work, "mt-aio-worker")
                self.serving = 1

    def _work(self) -> None:
        """Run jobs for ever, or until there are threads enough without this one."""
        jobs, running, held = self.jobs, self.running, self.held
        cell: list[Job | None] = [None]
        _current.cell = cell
        while True:
            alone = self.serving == 1 and not (held and jobs.empty())
            job = jobs.get() if alone else self._next()
            if job is None:
                return
            running.add(job)
            # Only now can `put` see that a job which came meanwhile has to wait.
            if not self.watched and (held or not jobs.empty()):
                self._call_watcher()
            job.run(cell)
            running.discard(job)
            self.finished += 1
            if job.order is not None:
                self._leave_lane(job)
            job.settle(held, self.watched and not jobs.empty())
            if job.kept:
                self._keep_no_more(job)
            del job  # or its result would live on until the next one comes
            if self.serving > self.wanted and not self._step_back():
                return

    def _next(self) -> Job | None:
        """Wait for a job; None if this thread is to end."""
        if self.held:
            try:
                return self.jobs.get_nowait()
            except Empty:
                self._send_held()
        while self.serving > 1:
            try:
                return self.jobs.get(timeout=LINGER)
            except Empty:
                if not self._step_back():
                    return None
        return self.jobs.get()

    def _step_back(self) -> bool:
        """Take this thread out of service until it is called again; False if it is to end."""
        self._send_held()
        with self.lock:
            if self.serving <= 1:
                return True
            self.serving -= 1
            if self.parked >= BASE - 1:
                return False
            self.parked += 1
        self.reserve.get()
        return True

    def _send_held(self) -> None:
        while self.held:
            try:
                held = self.held.pop()
            except KeyError:  # another thread was faster
                return
            held.send()

    def _keep_no_more(self, job: Job) -> None:
        with self.lock:
            del self.kept[id(job)]
            if not self.kept:
                self.nothing_kept.notify_all()

    def _call_watcher(self) -> None:
        """Put the watcher on duty."""
        with self.lock:
            if self.watched:
                return
            if self.watcher is None:
                try:
                    self.watcher = _start(self._watch, "mt-aio-watch")
                except RuntimeError:  # the interpreter is ending: the threads that run must do
                    return
            self.watched = True
        self.duty.put(None)

    def _watch(self) -> None:
        """Send what is held and adapt the number of threads, as long as that is needed."""
        while True:
            self.duty.get()
            stalled = 0.0
            while self.watched:
                seen, cpu, begin = self.finished, time.process_time(), time.monotonic()
                time.sleep(TICK)
                self._send_held()
                done, elapsed = self.finished - seen, time.monotonic() - begin
                stalled = 0.0 if done else stalled + elapsed
                # Waking up late, too, is a sign that there is too little processor for all.
                computing = time.process_time() - cpu > _BUSY * TICK or elapsed > 2 * TICK
                computing = computing and stalled < STALL
                self._adapt(slow=done * SLOW < self.serving * elapsed, computing=computing)
                # Off duty first, so that whoever comes meanwhile calls again.
                self.watched = False
                if self.held or not self.jobs.empty():
                    self.watched = True

    def _adapt(self, *, slow: bool, computing: bool) -> None:
        """Double the threads while slow jobs make others wait; halve them when all goes fast."""
        if not slow:
            self.wanted = max(1, self.wanted // 2)
            return
        waiting = self.jobs.qsize()
        if computing or not waiting:
            return
        with self.lock:
            more = min(MOST - self.serving, self.serving, waiting)
            woken = min(more, self.parked)
            self.parked -= woken
            self.serving += woken
            for _ in range(more - woken):
                try:
                    _start(self._work, "mt-aio-worker")
                except RuntimeError:  # the system gives no more: those that there are will do
                    break
                self.serving += 1
            self.wanted = self.serving
        for _ in range(woken):
            self.reserve.put(None)

    def wait_for(self, order: Hashable) -> None:
        """Wait until the jobs that are in this lane now have been run."""
        if _current_job() is not None:
            return  # a job must not wait for its own lane
        gate = threading.Event()
        with self.lock:
            if order not in self.lanes:
                return
            self._wait_in_lane(Job(gate.set, (), order, kept=False))
        gate.wait()

    def drain(self) -> None:
        """Wait for the jobs that somebody was promised; say which did not make it."""
        with self.nothing_kept:
            if not self.nothing_kept.wait_for(lambda: not self.kept, EXIT_PATIENCE):
                names = ", ".join(sorted(job.describe() for job in self.kept.values()))
                logger.error("not finished %g s after the end: %s", EXIT_PATIENCE, names)


def _current_job() -> Job | None:
    """Give the job that this thread runs, if it is a worker's."""
    job: Job | None = getattr(_current, "cell", _NO_JOB)[0]
    return job


def _start(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def put(job: Job) -> None:
    """Queue a job in the process's pool."""
    _pool.put(job)


def wait_for(order: Hashable) -> None:
    """Wait until the jobs issued so far under this key have been run."""
    _pool.wait_for(order)


def check_cancelled() -> None:
    """Raise if the job that this thread runs has been given up."""
    job = _current_job()
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
_NO_JOB = (None,)
_pool = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
