"""Queues of threads that have conditions, as those of the module `queue`.

While somebody waits on an event loop, and only then, the queue's condition `not_empty` (or
`not_full`) has an instance attribute `notify` that does what it always does and then wakes the
first in line. It is put there and taken away with the queue's own lock held, under which every
notification is made, too: no other lock is needed, so that putting from a signal handler or a
destructor is no more dangerous than it is with the queue alone.
"""

from __future__ import annotations

import os
from functools import partial
from threading import Condition

from mt.aio.proc._queue_line import Line


class ConditionLine(Line):
    """Those who wait for a condition of a queue; it is its own `notify`."""

    def __init__(self, condition: Condition) -> None:
        super().__init__(condition)
        self._attributes = vars(condition)
        self._shims = {"notify": self, "notify_all": self.notify_all}
        self._notify = partial(type(condition).notify, condition)
        self._notify_all = partial(type(condition).notify_all, condition)
        self._pid = os.getpid()

    def begin(self) -> None:
        """Listen to the condition."""
        self._attributes.update(self._shims)

    def end(self) -> None:
        """Leave the condition as it was."""
        if self._attributes.get("notify") is self:
            del self._attributes["notify"], self._attributes["notify_all"]

    def __call__(self, n: int = 1) -> None:
        """Notify threads, then one coroutine."""
        self._notify(n)
        if self.belongs_here():
            self.wake()

    def notify_all(self) -> None:
        """Notify all threads, then all coroutines."""
        if self.belongs_here():
            self.wake_all()
        self._notify_all()

    def belongs_here(self) -> bool:
        """Whether this is not a forked copy, whose waiters are another process's."""
        if os.getpid() == self._pid:
            return True
        self.end()
        return False


def line_of(condition: Condition) -> ConditionLine:
    """Find or make the line of a condition, which keeps it."""
    attributes = vars(condition)
    line: ConditionLine | None = attributes.get(_LINE)
    if line is None or not line.belongs_here():
        with condition:
            line = attributes.get(_LINE)
            if line is None or not line.belongs_here():
                line = attributes[_LINE] = ConditionLine(condition)
    return line


_LINE = "_mt_aio_line"
