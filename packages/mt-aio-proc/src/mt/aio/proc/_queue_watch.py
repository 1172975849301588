"""Being told when a descriptor is ready: by the event loop, or by a thread where it cannot tell."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
from collections.abc import Callable

SLICE = 0.25  # seconds after which a thread looks whether it is still wanted; arbitrary


def watch(fd: int, writing: bool, callback: Callable[[], None]) -> Callable[[], None]:
    """Call back on the running event loop while a descriptor is ready; return what ends that.

    The loop watches a selector that watches the descriptor. Given the descriptor itself, uvloop
    would make it non-blocking, for every process that has it; and whoever closes it while it is
    watched would confuse the loop.
    """
    loop = asyncio.get_running_loop()
    event = selectors.EVENT_WRITE if writing else selectors.EVENT_READ
    selector = selectors.DefaultSelector()
    try:
        selector.register(fd, event)
        own: int = selector.fileno()
        loop.add_reader(own, callback)
    except (AttributeError, NotImplementedError):
        selector.close()
        return ThreadWatch(loop, os.dup(fd), event, callback).stop
    except BaseException:
        selector.close()
        raise

    def stop() -> None:
        if not loop.is_closed():
            loop.remove_reader(own)
        selector.close()

    return stop


class ThreadWatch:
    """A thread that watches one descriptor for one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fd: int,
        event: int,
        callback: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._callback = callback
        self._called = threading.Event()
        self._stopped = False
        thread = threading.Thread(
            target=self._run, args=(fd, event), name=f"mt-aio-watch-{fd}", daemon=True
        )
        thread.start()

    def stop(self) -> None:
        """Call back no more; the thread ends soon and closes the descriptor."""
        self._stopped = True
        self._called.set()

    def _run(self, fd: int, event: int) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(fd, event)
                while not self._stopped:
                    if not selector.select(SLICE):
                        continue
                    self._called.clear()
                    try:
                        self._loop.call_soon_threadsafe(self._call)
                    except RuntimeError:  # the loop is closed
                        return
                    while not (self._called.wait(SLICE) or self._loop.is_closed()):
                        pass
        finally:
            os.close(fd)

    def _call(self) -> None:
        if not self._stopped:
            self._callback()
        self._called.set()
