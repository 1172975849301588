"""Progress of long work: a bar of tqdm's, one of the caller's, or none."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias


class Updatable(Protocol):
    """What a caller's own progress bar has to have; tqdm's has it."""

    def update(self, n: int = 1, /) -> object:
        """Move on by a number of items."""


Progress: TypeAlias = bool | str | Updatable
"""No bar, a bar of `tqdm` (True, or its title), or a bar of the caller's own."""


class Bar(Protocol):
    """A bar that has been opened."""

    total: int | None

    def update(self, n: int = 1, /) -> object:
        """Move on by a number of items."""

    def close(self) -> None:
        """Leave it as it stands."""


def check_progress(progress: Progress) -> None:
    """Refuse what `open_bar` could not open.

    Args:
        progress: what a caller gave as `progress=`.

    Raises:
        ModuleNotFoundError: it needs tqdm, which is not installed.
        TypeError: it is no boolean, no text, and has no method `update`.
    """
    if progress is True or isinstance(progress, str):
        _tqdm()
    elif progress is not False and not hasattr(progress, "update"):
        raise TypeError(
            "progress must be True, False, a title or an object with a method 'update', "
            f"not {type(progress).__name__}"
        )


def open_bar(progress: Progress, total: int | None) -> Bar:
    """Open the bar that a caller asked for.

    Args:
        progress: what the caller gave as `progress=`.
        total: the number of items to come; None if nobody knows.

    Returns:
        A bar. Closing it closes the bar that was made here, never one of the caller's.

    Raises:
        ModuleNotFoundError: as for `check_progress`.
        TypeError: likewise.
    """
    check_progress(progress)
    if not (progress is True or isinstance(progress, str)):
        return _Foreign(None if progress is False else progress)
    bar: Bar = _tqdm().tqdm(desc=progress if isinstance(progress, str) else None, total=total)
    return bar


class _Foreign:
    """A bar of the caller's, which stays open and keeps its total; or none at all."""

    __slots__ = ("_bar", "total")

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self.total: int | None = None

    def update(self, n: int = 1, /) -> None:
        if self._bar is not None:
            self._bar.update(n)

    def close(self) -> None:
        pass


def _tqdm() -> Any:
    try:
        import tqdm
    except ModuleNotFoundError as exc:
        if exc.name != "tqdm":
            raise  # tqdm is there, something it needs is not
        text = 'progress bars need tqdm: pip install "mt-aio-core[progress]"'
        raise ModuleNotFoundError(text, name="tqdm") from exc
    return tqdm
