"""Telling how far a long reading or writing has come, and whether it is still wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from mt.aio.core.lowlevel import check_cancelled


class Bar(Protocol):
    """A progress bar, such as tqdm's."""

    total: Any

    def update(self, n: int, /) -> Any:
        """Count `n` more bytes."""


Progress: TypeAlias = Callable[[int, int], object] | Bar | None


class Report:
    """Counts bytes done, tells the user, and raises if the caller has been cancelled."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        if progress is not None and not callable(progress) and progress.total is None:
            progress.total = total

    def advance(self, count: int) -> None:
        """Count so many bytes more."""
        check_cancelled()
        self._done += count
        if self._progress is None:
            return
        if callable(self._progress):
            self._progress(self._done, self._total)
        else:
            self._progress.update(count)

    def restart(self) -> None:
        """Count from the beginning: what was done so far is to be done in another way."""
        if self._progress is not None and not callable(self._progress):
            self._progress.update(-self._done)
        self._done = 0

    def finish(self) -> None:
        """Count what is left, if it was not counted piece by piece."""
        if self._done < self._total or not self._total:
            self.advance(self._total - self._done)
