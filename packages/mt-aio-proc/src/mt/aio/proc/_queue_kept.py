"""What a queue keeps of what was made for it: one of a kind in each process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Kept(Protocol):
    """What a queue can keep."""

    def belongs_here(self) -> bool:
        """Whether this is not a forked copy, of which the waiters are another process's."""


K = TypeVar("K", bound=Kept)


def kept(q: Any, name: str, make: Callable[[Any], K]) -> K:
    """Find what a queue keeps under this name, or make it of the queue."""
    found: K | None = vars(q).get(name)
    if found is None or not found.belongs_here():
        with _making:
            found = vars(q).get(name)
            if found is None or not found.belongs_here():
                found = vars(q)[name] = make(q)
    return found


def _renew() -> None:
    """Have a lock that is free, in a forked child: who had it may not be there any more."""
    global _making  # noqa: PLW0603 - one for the process
    _making = threading.Lock()


_making = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
