"""The bar of a manager: how many aprocs are done, among those sent so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mt.aio.core.lowlevel import Progress, check_progress, open_bar

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import Bar


class _Counters(Protocol):
    """What the bar wants to know of its manager."""

    @property
    def pending(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def done(self) -> int: ...


class DoneBar:
    """Called at the end of each aproc; opens its bar at the first one after a `close`."""

    __slots__ = ("_bar", "_before", "_manager", "_progress")

    def __init__(self, progress: Progress, manager: _Counters) -> None:
        check_progress(progress)  # now rather than when an aproc is done
        self._progress = progress
        self._manager = manager
        self._bar: Bar | None = None

    def __call__(self, *_: object) -> None:
        """Move on by one."""
        manager = self._manager
        if self._bar is None:
            self._before = manager.done - 1  # those that are no business of this bar
            self._bar = open_bar(self._progress, total=0)
        self._bar.total = manager.done - self._before + manager.running + manager.pending
        self._bar.update(1)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
