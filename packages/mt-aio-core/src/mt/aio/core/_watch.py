"""Who blocks an event loop: a thread that knocks on the loop, and looks at the stack if it is late.

Used by the debug mode (`MT_AIO_DEBUG=1`) and by the pytest plugin; never loaded otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from inspect import CO_COROUTINE, CO_ITERABLE_COROUTINE
from types import FrameType

LIMIT = 0.1  # seconds; what the eye takes for instantaneous

_IDLE = (f"{os.sep}asyncio{os.sep}", f"{os.sep}selectors.py")


class LoopWatch:
    """Watches one event loop, whose thread is the one that makes this object.

    `report` is called in the watching thread with the stack of the call that blocks the loop, and
    the name of the innermost asyn function in it (or None): once for each time it is blocked.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: float,
        report: Callable[[traceback.StackSummary, str | None], object],
    ) -> None:
        self._loop = loop
        self._limit = limit
        self._report = report
        self._thread = threading.get_ident()
        self._statistics = f"/proc/self/task/{threading.get_native_id()}/schedstat"
        self._bell = threading.Event()  # rung by the loop, and by whoever stops the watch
        self._stopped = False
        self._watcher = threading.Thread(target=self._watch, name="mt-aio-debug", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped = True
        self._bell.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not (self._stopped or self._loop.is_closed()):
            if self._loop.is_running() and not self._knock():
                self._look()
                while self._loop.is_running() and not self._bell.wait(self._limit):
                    pass  # it has been told already
            self._bell.clear()
            if not self._stopped:
                self._bell.wait(self._limit / 4)

    def _knock(self) -> bool:
        """Ask the loop for a sign of life, and tell whether it came in time."""
        self._bell.clear()
        try:
            self._loop.call_soon_threadsafe(self._bell.set)
        except RuntimeError:  # closed just now
            return True
        seen, patience = self._queued(), self._limit
        while patience > 0 and not self._bell.wait(patience):
            queued = self._queued()
            patience, seen = queued - seen, queued
        return self._bell.is_set() or self._stopped

    def _queued(self) -> float:
        """Return for how many seconds in all the loop's thread was ready but had no processor.

        The machine is busy then, and the loop not to blame. Linux counts it (see "schedstat" in
        the kernel's documentation of /proc); elsewhere it is taken as 0.
        """
        try:
            with open(self._statistics, "rb", buffering=0) as file:
                return int(file.read().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0

    def _look(self) -> None:
        """Report who has the loop's thread, unless the loop waits for events or has ended."""
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001  # there is no other way
        if frame is None or not self._loop.is_running() or _is_idle(frame):
            return
        stack = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=30)
        stack.reverse()
        self._report(stack, _asyn_function(frame))


def _is_idle(frame: FrameType) -> bool:
    """Tell whether the loop itself is what runs; one written in C has no frame of its own."""
    return any(part in frame.f_code.co_filename for part in _IDLE)


def _asyn_function(frame: FrameType | None) -> str | None:
    """Find the innermost asyn function: a coroutine with `context_vars`."""
    while frame is not None:
        code = frame.f_code
        if code.co_flags & (CO_COROUTINE | CO_ITERABLE_COROUTINE) and (
            "context_vars" in code.co_varnames or "context_vars" in code.co_freevars
        ):
            return code.co_qualname
        frame = frame.f_back
    return None


def watch_running_loop() -> None:
    """In debug mode: watch the running event loop, if it is not being watched yet."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # a coroutine is being made for a loop that does not run yet
        return
    if loop not in _watched:
        for other in [other for other in _watched if other.is_closed()]:
            del _watched[other]
        _watched[loop] = LoopWatch(loop, LIMIT, _log)


def _log(stack: traceback.StackSummary, name: str | None) -> None:
    logging.getLogger("mt.aio.core").warning(
        "%s blocks the event loop for more than %g ms; blocking work belongs into "
        "mt.aio.core.lowlevel.offload:\n%s",
        f"the asyn function {name}" if name else "somebody",
        LIMIT * 1000,
        "".join(stack.format()),
    )


_watched: dict[asyncio.AbstractEventLoop, LoopWatch] = {}
