"""From an event loop to the worker threads and back.

Completions are not sent to the loop one by one: a worker puts its job into the loop's mailbox and
wakes the loop only if no wake-up is on its way already; one wake-up delivers all that came.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

from mt.aio.core import _pool


class Mailbox:
    """The jobs that have been run for one event loop and not been delivered yet."""

    __slots__ = ("armed", "jobs")

    def __init__(self) -> None:
        self.jobs: deque[HopJob] = deque()
        self.armed = False

    def post(self, job: HopJob) -> None:
        """Add a job, in the worker's thread. No lock: see `deliver`."""
        self.jobs.append(job)
        if not self.armed:  # two workers may both see that: one wake-up too many does no harm
            self.armed = True
            try:
                job.future.get_loop().call_soon_threadsafe(self.deliver)
            except RuntimeError:  # the loop is closed: nobody waits any more
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

    def abandon(self) -> None:
        """Drop what came for a closed loop; what it should have been told goes to the log."""
        while self.jobs:
            self.jobs.popleft().report()


class HopJob(_pool.Job):
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
        self.mailbox = _mailboxes.get(loop) or _new_mailbox(loop)

    def given_up(self) -> bool:
        return self.cancelled or self.future.cancelled()

    def settle(self) -> None:
        self.mailbox.post(self)

    def deliver(self) -> None:
        """Hand the outcome to the future, in the loop's thread."""
        self.delivered = True
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)
        if self.future.done():  # cancelled
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif isinstance(self.error, StopIteration):  # which a future cannot carry
            error = RuntimeError("the offloaded function raised StopIteration")
            error.__cause__ = self.error
            self.future.set_exception(error)
        else:
            self.future.set_exception(self.error)
        self.result = self.error = None

    def report(self) -> None:
        """Log an error that no loop is left to be told of."""
        if self.kept and self.error is not None:
            _pool.logger.error(
                "%s failed after its event loop was closed", self.describe(), exc_info=self.error
            )

    async def wait_to_end(self) -> None:
        """Wait until a job that is being run has ended, whoever cancels meanwhile."""
        while not self.delivered:
            self.ended = self.future.get_loop().create_future()
            try:
                await self.ended
            except asyncio.CancelledError:
                continue  # the caller is about to raise one anyway


def start(
    func: Callable[..., Any], args: tuple[Any, ...], order: Hashable | None, *, kept: bool
) -> HopJob:
    """Queue a job for the running event loop."""
    job = HopJob(func, args, order, kept=kept)
    _pool.put(job)
    return job


async def hop(
    func: Callable[..., Any], args: tuple[Any, ...], order: Hashable | None, abandon: bool
) -> Any:
    """Run a job and wait for it; `offload` tells what cancellation does."""
    job = start(func, args, order, kept=False)
    try:
        return await job.future
    except asyncio.CancelledError:
        job.cancelled = True
        if not job.withdraw() and not abandon:
            await job.wait_to_end()
        raise


def _new_mailbox(loop: asyncio.AbstractEventLoop) -> Mailbox:
    """Make a loop's mailbox, and empty those of closed loops: their content keeps them alive."""
    _abandon_closed()
    mailbox = _mailboxes[loop] = Mailbox()
    return mailbox


def _abandon_closed() -> None:
    for loop, mailbox in list(_mailboxes.items()):
        if loop.is_closed():
            mailbox.abandon()


def _at_exit() -> None:
    """Finish what was promised, and tell what failed; no loop will run any more."""
    _pool.drain()
    for mailbox in list(_mailboxes.values()):
        mailbox.abandon()


def _renew() -> None:
    """Forget the parent's loops, in a forked child."""
    _mailboxes.clear()


_mailboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, Mailbox] = WeakKeyDictionary()
atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
