"""Has the system killed processes for want of memory lately? It counts them; so do we."""

from __future__ import annotations

from contextlib import suppress

_WHERE = "/proc/vmstat"  # of the whole machine
_WHAT = b"oom_kill "

_last: int | None = None


def since_last() -> int:
    """Return how many were killed since this was last called; 0 if that is not known."""
    global _last
    before, _last = _last, _count()
    return 0 if before is None or _last is None else _last - before


def begin() -> None:
    """Take the first look, if there was none yet."""
    if _last is None:
        since_last()


def _count() -> int | None:
    with suppress(OSError, ValueError, IndexError), open(_WHERE, "rb") as file:
        return int(file.read().split(_WHAT)[1].split(None, 1)[0])
    return None
