"""From an event loop to the worker threads and back.

Completions are not sent to the loop one by one: a worker puts its job into the loop's mailbox and
wakes the loop only if no wake-up is on its way already; one wake-up delivers all that came.

Where there are eventfds (on Linux) a mailbox has a doorbell of its own, as `call_soon_threadsafe`
makes and reads more than it has to: a third of a whole round trip.

A mailbox belongs to its loop, whose reader of the bell holds it, and to the jobs that are under
way, not to those that are done: that would be a cycle, and last until it is collected. So when the
loop is closed, the last job under way takes the mailbox along, and that takes its bell down.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary, ref

from mt.aio.core import _pool
from mt.aio.core._job import Held, Job, check_cancelled  # noqa: F401 - for `_offload`
from mt.aio.core._pieces import living
from mt.aio.core._pool import expect_wait, wait_for  # noqa: F401 - likewise


class Mailbox:
    """The jobs that have been run for one event loop and not been delivered yet."""

    __slots__ = ("__weakref__", "armed", "bell", "jobs", "lock", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.jobs: deque[HopJob] = deque()
        self.armed = False
        self.lock = Lock()  # the descriptor's number may be another's once it is closed
        self.loop = ref(loop)
        self.bell: int | None = None
        self.bell = _hang_bell(loop, self.answer)

    def send(self) -> None:
        """Wake the loop up, in a worker's thread, unless that has been done."""
        if self.armed or not self.jobs:
            return
        self.armed = True  # two workers may both get here: one wake-up too many does no harm
        loop = self.loop()
        if loop is None or loop.is_closed():
            self.abandon()  # nobody waits any more
            return
        with self.lock:
            if self.bell is not None:
                os.eventfd_write(self.bell, 1)
                return
        try:
            loop.call_soon_threadsafe(self.deliver)
        except RuntimeError:  # closed just now
            self.abandon()

    def deliver(self) -> None:
        """Settle the futures, in the loop's thread.

        `armed` is cleared first: a job posted before that is seen by the loop below, one posted
        after it makes its own wake-up.
        """
        self.armed = False
        jobs = self.jobs
        while jobs:
            jobs.popleft().deliver()

    def answer(self) -> None:
        """Deliver when the bell has rung, in the loop's thread."""
        self.armed = False  # first, as above: a ring that is silenced here is of a job seen below
        with suppress(BlockingIOError):
            if self.bell is not None:
                os.eventfd_read(self.bell)
        self.deliver()

    def abandon(self) -> None:
        """Drop what came for a closed loop; what it should have been told goes to the log."""
        self.armed = False  # what comes later is dropped by its own worker
        while self.jobs:
            try:
                job = self.jobs.popleft()
            except IndexError:  # two workers, or a worker and the thread of a new loop, are at it
                break
            job.report()
        self.take_down()

    def take_down(self) -> None:
        """Close the bell."""
        with self.lock:
            bell, self.bell = self.bell, None
            if bell is not None:
                os.close(bell)

    def __del__(self) -> None:
        self.abandon()


class HopJob(Job):
    """A job with the future through which an event loop waits for it."""

    __slots__ = ("delivered", "ended", "future", "mailbox")

    def __init__(
        self, func: Callable[..., Any], args: tuple[Any, ...], order: Hashable | None, *, kept: bool
    ) -> None:
        super().__init__(func, args, order, kept=kept)
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = loop.create_future()
        self.ended: asyncio.Future[None] | None = None
        self.delivered = False
        mailbox = _mailboxes.get(id(loop))
        if mailbox is None or mailbox.loop() is not loop:
            mailbox = _new_mailbox(loop)
        self.mailbox = mailbox

    def given_up(self) -> bool:
        return self.cancelled or self.future.cancelled()

    def settle(self, held: set[Held], hold: bool) -> None:
        mailbox = self.mailbox
        del self.mailbox  # or a loop that is closed before it looks would leave a cycle behind
        mailbox.jobs.append(self)
        if mailbox.armed:
            return
        if hold:
            held.add(mailbox)
        else:
            held.discard(mailbox)
            mailbox.send()

    def deliver(self) -> None:
        """Hand the outcome to the future, in the loop's thread."""
        self.delivered = True
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)
        error = self.error
        if self.future.done():  # cancelled
            pass
        elif error is None:
            self.future.set_result(self.result)
        else:
            if isinstance(error, StopIteration):  # which a future cannot carry
                error = RuntimeError("the offloaded function raised StopIteration")
                error.__cause__ = self.error
            self.future.set_exception(error)
            del self.future  # this job is in the error's traceback: that would be a cycle
        # So are all that its function had in hand.
        self.result = self.error = None

    def report(self) -> None:
        """Log an error that no loop is left to be told of."""
        if self.kept and self.error is not None:
            _pool.logger.error(
                "%s failed after its event loop was closed", self.describe(), exc_info=self.error
            )

    async def give_up(self, abandon: bool) -> None:
        """Withdraw the job; if it is being run, wait until it has ended unless it is abandoned.

        Whoever cancels meanwhile waits, too.
        """
        self.cancelled = True
        if self.withdraw() or abandon:
            return
        while not self.delivered:
            self.ended = self.future.get_loop().create_future()
            try:
                await self.ended
            except asyncio.CancelledError:
                continue  # the caller is about to raise one anyway


def start(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    order: Hashable | None,
    *,
    kept: bool,
    network: bool = False,
) -> HopJob:
    """Queue a job for the running event loop."""
    job = HopJob(func, args, order, kept=kept)
    _pool.put(job, network=network)
    return job


def _new_mailbox(loop: asyncio.AbstractEventLoop) -> Mailbox:
    """Make a loop's mailbox; those of closed loops need not wait for the garbage collector."""
    for other in living(_mailboxes.valuerefs()):
        gone = other.loop()
        if gone is None or gone.is_closed():
            other.abandon()
    mailbox = _mailboxes[id(loop)] = Mailbox(loop)
    return mailbox


def _hang_bell(loop: asyncio.AbstractEventLoop, answer: Callable[[], None]) -> int | None:
    """Make a descriptor that wakes the loop; None where the system or the loop has none."""
    if sys.platform != "linux":
        return None
    bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        loop.add_reader(bell, answer)
    except NotImplementedError:
        os.close(bell)
        return None
    return bell


def _at_exit() -> None:
    """Finish what was promised, and tell what failed; no loop will run any more."""
    _pool.drain()
    for mailbox in living(_mailboxes.valuerefs()):
        mailbox.abandon()


def _renew() -> None:
    """Forget the parent's loops, in a forked child, and what was on its way to them."""
    for mailbox in living(_mailboxes.valuerefs()):
        mailbox.lock = Lock()  # a thread that is not there any more may have had it
        mailbox.jobs.clear()
    _mailboxes.clear()


_mailboxes: WeakValueDictionary[int, Mailbox] = WeakValueDictionary()  # by the loop's id
atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
