"""A blocking call on its way through a worker thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextvars import copy_context
from typing import Any, Protocol

from mt.aio.core._later import Later


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
        "continued",
        "error",
        "func",
        "kept",
        "order",
        "pool",
        "result",
    )

    pool: Any  # to which it belongs, once it has to wait for its turn in a lane

    def __init__(
        self, func: Callable[..., Any], args: tuple[Any, ...], order: Hashable | None, *, kept: bool
    ) -> None:
        self.func: Any = func  # None when it has been run or withdrawn, as the context is
        self.args = args
        self.order = order
        self.kept = kept
        self.context: Any = copy_context()
        self.cancelled = False
        self.continued = False
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

    def run(self, cell: list[Job | None]) -> bool:
        """Call the function and keep what came of it; the cell tells it for whom.

        Returns:
            Whether that is not all: the job is to be run again, when those that wait have been.
        """
        if self.kept and self.given_up():
            self.withdraw()
        try:
            del self._unclaimed
        except AttributeError:
            if not self.continued:  # but withdrawn
                return False
        cell[0] = self
        try:
            result = self.context.run(self.func, *self.args)
            if type(result) is Later:
                self.func, self.args, self.continued = result.func, (), True
                return True
            self.result = result
        except BaseException as exc:  # noqa: BLE001 - it belongs to whoever waits for the job
            self.error = exc
        finally:
            cell[0] = None
        self._release()
        return False

    def settle(self, held: set[Held], hold: bool) -> None:
        """Hand the outcome over; or let it be held until a later one goes, or the next tick."""

    def describe(self) -> str:
        """Name the job for a log line, also when it has been run."""
        return f"{self.order}" if self.order is not None else "a job"

    def _release(self) -> None:
        """Let go of arguments, which may be large, as soon as they are of no use."""
        self.func = self.context = None
        self.args = ()


def current_job() -> Job | None:
    """Give the job that this thread runs, if it is a worker's."""
    job: Job | None = getattr(current, "cell", _NO_JOB)[0]
    return job


def check_cancelled() -> None:
    """Raise if the job that this thread runs has been given up."""
    job: Job | None = getattr(current, "cell", _NO_JOB)[0]
    if job is not None and job.given_up():
        from asyncio import CancelledError

        raise CancelledError


current = threading.local()  # in a worker thread, its cell
_NO_JOB = (None,)
