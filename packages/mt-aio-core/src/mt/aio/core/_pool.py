"""The worker threads behind `offload`: a few for the whole process, none before they are needed.

Rules, each of which something relies on:

* One thread serves the queue as long as jobs get done: for cached files that is faster than many
  are, and it bounds the open files of any number of concurrent operations. When jobs wait and
  those that run are slow (a disk, a network mount that hangs), a watcher adds threads, up to
  MOST; those that are of no use any more step back, and all but BASE end. A job that is about to
  wait for a device may say so: then a thread is added at once.
* Completions may be held back while more jobs wait, so that one wake-up of an event loop delivers
  many. The watcher sends what is held every TICK, should a worker get stuck meanwhile. So it is
  on duty whenever a job waits behind another or a completion is held; else it sleeps.
* A job is claimed once: by the thread that runs it or by the caller that withdraws it.
* Jobs with an equal order key form a lane: only the first is in the queue, until it is all done.
* Jobs that wait for other machines, maybe for long, have a pool of their own, but common lanes.
* A forked child starts from nothing: threads do not survive a fork, and neither do jobs.
* Jobs that somebody was promised (`kept`) are finished before the interpreter exits.

The way of a job without a key takes no lock: what is shared there are containers whose single
operations are atomic, and flags of which a stale reading costs time only.
Not promised: fairness between event loops, an order between jobs of different keys.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from queue import Empty, SimpleQueue
from typing import TypeAlias

from mt.aio.core._brisk import Lookout
from mt.aio.core._job import Held, Job, current, current_job
from mt.aio.core._preempt import preemptions

BASE = 4  # arbitrary, as all numbers here: threads that stay when there is nothing to do
MOST = 32
WAITING = 8  # threads that are added before it is seen whether that does any good
TICK = 0.002  # seconds, as those below
SLOW = 0.001  # jobs that take longer on average gain from more threads, unless they compute
STALL = 0.01  # nothing done for so long: more threads, even if the processor is busy
LINGER = 0.05
EXIT_PATIENCE = 30.0
_BUSY = 0.6  # of a core, used by the process
Lanes: TypeAlias = dict[Hashable, deque[Job] | None]  # None: nobody waits yet


class Pool:
    """The queue, the threads and the lanes, which it may have in common with another pool."""

    def __init__(self, beside: Pool | None = None) -> None:
        self.lock: threading.Lock = beside.lock if beside else threading.Lock()
        self.lanes: Lanes = beside.lanes if beside else {}
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self.running: set[Job] = set()
        self.finished = 0  # roughly: two threads may count as one
        self.kept: dict[int, Job] = {}
        self.nothing_kept = threading.Condition(self.lock)
        self.held: set[Held] = set()
        # How many threads take jobs, how many should at most, and those in reserve.
        self.serving = 0
        self.wanted = 1
        self.calm_at = 0.0
        self.expecting = False  # waits for devices, since the watcher's last tick
        self.parked = 0
        self.reserve: SimpleQueue[None] = SimpleQueue()
        self.watcher: threading.Thread | None = None
        self.watched = False  # whether the watcher is on duty
        self.duty: SimpleQueue[None] = SimpleQueue()

    def put(self, job: Job, *, in_turn: bool = False) -> None:
        """Queue a job, behind those of its lane unless it is known to be its turn."""
        if not self.serving:
            self._begin()  # first: if the system refuses a thread, nobody is to wait for this job
        if (job.order is not None or job.kept) and not in_turn and not self._enter_lane(job):
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
        job.pool = self
        lane.append(job)

    def _leave_lane(self, job: Job) -> None:
        """Let the next job of the lane go."""
        with self.lock:
            lane = self.lanes[job.order]
            if not lane:
                del self.lanes[job.order]
                return
            following = lane.popleft()
        following.pool.put(following, in_turn=True)

    def _begin(self) -> None:
        """Start the first thread."""
        with self.lock:
            if not self.serving:
                _start(self._serve, "mt-aio-worker")
                self.serving = 1

    def _serve(self) -> None:
        """Work; should that fail (nothing is known to make it), let another thread do it."""
        try:
            self._work()
        except BaseException:
            with self.lock:
                self.serving -= 1
            if not self.jobs.empty():
                self._begin()
            raise

    def _work(self) -> None:
        """Run jobs for ever, or until there are threads enough without this one."""
        jobs, running, held = self.jobs, self.running, self.held
        cell: list[Job | None] = [None]
        current.cell = cell
        lookout = Lookout(jobs)
        while True:
            empty = jobs.empty()
            if self.serving > 1 or (empty and held):
                job = self._next()
                if job is None:
                    return
            else:
                job = lookout.get() if empty else jobs.get()
            running.add(job)
            # Only now can `put` see that a job which came meanwhile has to wait.
            if not self.watched and (held or not jobs.empty()):
                self._call_watcher()
            more = job.run(cell)
            running.discard(job)
            self.finished += 1
            if more:
                jobs.put(job)
                continue
            if job.order is not None:
                self._leave_lane(job)
            job.settle(held, self.watched and not jobs.empty())
            if job.kept:
                self._keep_no_more(job)
            del job  # or its result would live on until the next one comes
            if self.serving > 1 and self._is_calm() and not self._step_back():
                return

    def _next(self) -> Job | None:
        """Wait for a job; None if this thread is to end."""
        if self.held:
            try:
                return self.jobs.get_nowait()
            except Empty:
                self._send_held()
        if self.serving > 1:
            try:
                return self.jobs.get(timeout=LINGER)
            except Empty:
                if not self._step_back():
                    return None
        return self.jobs.get()

    def _is_calm(self) -> bool:
        """Tell whether there are more threads in service than the last slow jobs call for."""
        return self.serving > self.wanted or time.monotonic() > self.calm_at

    def _step_back(self) -> bool:
        """Take this thread out of service until it is called again; False if it is to end.

        One that does not run a job stays: those that do may be stuck.
        """
        self._send_held()
        with self.lock:
            if self.serving - 1 <= len(self.running):
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
        short_until = 0.0
        while True:
            self.duty.get()
            stalled = 0.0
            while self.watched:
                seen, preempted = self.finished, preemptions()
                cpu, begin = time.process_time(), time.monotonic()
                time.sleep(TICK)
                self._send_held()
                done, elapsed = self.finished - seen, time.monotonic() - begin
                stalled = 0.0 if done else stalled + elapsed
                # Waking up late is a sign of too little processor, too; so is that others take it.
                computing = time.process_time() - cpu > _BUSY * TICK or elapsed > 2 * TICK
                if preemptions() > preempted:
                    short_until = begin + LINGER
                computing = (computing or begin < short_until) and stalled < STALL
                self._adapt(slow=done * SLOW < self.serving * elapsed, computing=computing)
                # Off duty first, so that whoever comes meanwhile calls again.
                self.watched = False
                if self.held or not self.jobs.empty():
                    self.watched = True

    def _adapt(self, *, slow: bool, computing: bool) -> None:
        """Double the threads while slow jobs make others wait; halve them when all goes fast."""
        if not slow and not self.expecting:
            self.wanted = max(1, self.wanted // 2)
            return
        self.expecting = False
        waiting = self.jobs.qsize()
        if waiting:
            self.calm_at = time.monotonic() + LINGER
        if slow and waiting and not computing:
            self._add(min(self.serving, waiting))

    def _add(self, more: int) -> None:
        """Have more threads serve, up to MOST: those in reserve first."""
        with self.lock:
            more = min(more, MOST - self.serving)
            woken = min(more, self.parked)
            self.parked -= woken
            self.serving += woken
            for _ in range(more - woken):
                try:
                    _start(self._serve, "mt-aio-worker")
                except RuntimeError:  # the system gives no more: those that there are will do
                    break
                self.serving += 1
            self.wanted = max(self.wanted, self.serving)
        for _ in range(woken):
            self.reserve.put(None)

    def expect_wait(self) -> None:
        """Have another thread serve, as one that does now is about to wait for a device."""
        if waiting := self.jobs.qsize():
            self.expecting = True
            self.calm_at = time.monotonic() + LINGER
            if waiting > self.serving - len(self.running) and self.serving < WAITING:
                self._add(1)

    def wait_for(self, order: Hashable) -> None:
        """Wait until the jobs that are in this lane now have been run."""
        if current_job() is not None:
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


def _start(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def put(job: Job, *, network: bool = False) -> None:
    """Queue a job in the pool of its kind."""
    (_network if network else _pool).put(job)


def wait_for(order: Hashable) -> None:
    """Wait until the jobs issued so far under this key have been run."""
    _pool.wait_for(order)


def expect_wait() -> None:
    """Have another thread serve."""
    if current_job() is not None:
        _pool.expect_wait()


def _renew() -> None:
    """Start from nothing, in a forked child."""
    global _pool, _network  # noqa: PLW0603 - one pair per process
    _pool = Pool()
    _network = Pool(beside=_pool)
    current.__dict__.clear()


def drain() -> None:
    """Wait for the jobs that somebody was promised."""
    _pool.drain()
    _network.drain()


logger = logging.getLogger("mt.aio.core")
_pool = Pool()
_network = Pool(beside=_pool)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
