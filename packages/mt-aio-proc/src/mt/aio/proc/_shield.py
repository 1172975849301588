"""Ctrl-C in the main thread, kept back where it would leave something half done.

Python has a signal's handler run between any two steps of the main thread. An exception that it
raises there may lose what has just been read from a child, for whoever waits for that, or keep the
other threads from being woken. So, while the main thread watches, a handler stands in that takes
note, and has the thread look.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # `signal` makes enums of what it returns
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

PATIENCE = 1.0  # seconds after which another one is not kept back; arbitrary


class Shield:
    """Keeps back SIGINT, if this is the main thread and a handler in Python is there for it.

    Args:
        wake: called when one has come: it wakes the thread, if that sleeps.

    Attributes:
        kept: what the handler is to be called with.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._handler: Any = None  # the one that is in place otherwise
        self.kept: tuple[Any, ...] | None = None
        self._since = 0.0

    def __enter__(self) -> Self:
        if threading.get_ident() == threading.main_thread().ident:
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                with suppress(ValueError):  # this is embedded, and not what it takes itself for
                    signal.signal(signal.SIGINT, self._keep)
                    self._handler = handler
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            here = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
            if here is self:  # else it has been replaced meanwhile
                signal.signal(signal.SIGINT, self._handler)
            self.let_through()

    def let_through(self) -> None:
        """Hand over what has come; most often that raises a KeyboardInterrupt."""
        if self.kept is not None:
            kept, self.kept = self.kept, None
            self._handler(*kept)

    def _keep(self, *args: Any) -> None:
        if self.kept is None:
            self.kept, self._since = args, monotonic()
        elif monotonic() - self._since > PATIENCE:  # `on_write`, or the like, does not come back
            self._handler(*args)
        self._wake()
