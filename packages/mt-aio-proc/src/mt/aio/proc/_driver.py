"""Who reads from a child: event loops that are attached, and threads that wait.

A child's descriptors are watched by every event loop from which a message has been sent, as long
as it lives, and by a thread that waits for a reply in synchronous mode. Whoever finds one ready
calls its handler; handlers do not mind if there is nothing left to read. Of several waiting
threads one, the leader, watches; it wakes the others when something has come for them. Nobody
polls, and an idle child costs nothing.

Descriptors are closed only when nobody watches them any more: a number that is used again while
somebody still has the old one in a selector would make him listen to a stranger.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, finalize, ref

from mt.aio.proc._shield import Shield

if TYPE_CHECKING:
    import asyncio

Handler = Callable[[], None]

_LONG = 86400.0  # seconds; arbitrary: waiting is done in such pieces, as systems have a limit


class Driver:
    """Calls handlers when descriptors are ready, on whatever loops and threads there are."""

    def __init__(
        self,
        readers: dict[int, Handler],
        writer: tuple[int, Handler],
        when_closed: Callable[[], None],
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._writing = False
        self._loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
        self._latest: Callable[[], object] = _none  # the loop of the last one; spares a look
        # Reentrant: a finalizer may poke wherever the interpreter collects garbage.
        self._turn = threading.Condition()
        self._leader: int | None = None
        self._wake: tuple[int, int] | None = None
        self._thread = False
        self._users = 0  # those who may still watch the descriptors
        self._closed = False
        self._when_closed = when_closed

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the event loop that runs in this thread watch, too."""
        if self._latest() is loop:
            return
        with self._turn:
            if self._closed or self._thread or loop in self._loops:
                return
            try:
                for descriptor, handler in self._readers.items():
                    loop.add_reader(descriptor, handler)
            except NotImplementedError:  # a loop that cannot watch descriptors: a thread does it
                self._start_thread()
                return
            self._loops.add(loop)
            self._latest = ref(loop)
            self._reconcile(loop)

    def ignore(self, descriptor: int) -> None:
        """Do not watch this descriptor any more: its stream has ended."""
        with self._turn:
            if self._readers.pop(descriptor, None) is not None:
                for loop in list(self._loops):
                    _in_loop(loop, loop.remove_reader, descriptor)

    def watch(self, descriptor: int, handler: Handler) -> None:
        """Watch another descriptor from now on."""
        with self._turn:
            self._readers[descriptor] = handler
            for loop in list(self._loops):
                _in_loop(loop, loop.add_reader, descriptor, handler)
            self.poke()

    def watch_writing(self, writing: bool) -> None:
        """Begin or end to have the writer's handler called when it can write."""
        with self._turn:
            if self._writing is not writing:
                self._writing = writing
                for loop in list(self._loops):
                    _in_loop(loop, self._reconcile, loop)
                if writing:
                    self.poke()

    def _reconcile(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make a loop watch the writer or not, as it is wanted when this is run."""
        if self._closed:
            return
        if self._writing:
            loop.add_writer(*self._writer)
        else:
            loop.remove_writer(self._writer[0])

    def wait(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Watch, in this thread, until something is done; False if it was not in time.

        Raises:
            RuntimeError: called by a handler of this thread's own watching, which would wait for
                itself.
            KeyboardInterrupt: there was a Ctrl-C; handlers that had begun have done their work.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with Shield(self._wake_anybody) as shield:
            while (outcome := self._wait(done, deadline, shield)) is None:
                shield.let_through()
        return outcome

    def _wait(
        self, done: Callable[[], bool], deadline: float | None, shield: Shield
    ) -> bool | None:
        """Watch until something is done or time is up; None if an interrupt comes first."""
        with self._turn:
            while not done():
                if shield.kept is not None:
                    return None
                rest = None if deadline is None else deadline - time.monotonic()
                if (rest is not None and rest <= 0) or self._closed:
                    return False
                if self._leader == threading.get_ident():
                    raise RuntimeError("on_write and on_event cannot wait for their own child")
                if self._leader is not None:
                    self._turn.wait(_LONG if rest is None else min(rest, _LONG))
                else:
                    self._lead(_LONG if rest is None else min(rest, _LONG))
        return True

    def poke(self) -> None:
        """Have the waiting threads look whether what they wait for is done."""
        with self._turn:
            self._turn.notify_all()
            if self._leader not in (None, threading.get_ident()):
                self._wake_leader()

    def _wake_anybody(self) -> None:
        """Wake all that wait, this thread included: it is in a signal handler."""
        with self._turn:
            self._turn.notify_all()
            self._wake_leader()

    def _wake_leader(self) -> None:
        if self._wake is not None:
            with suppress(OSError):  # full of bytes that wake just as well, or just closed
                os.write(self._wake[1], b"\0")

    def close(self) -> None:
        """Stop watching; the descriptors are closed as soon as nobody watches them."""
        with self._turn:
            self._closed = True
            loops = list(self._loops)
            self._users += 1 + len(loops)
        for loop in loops:
            # A loop that stops before it gets there has the descriptors in its selector for as
            # long as it exists.
            leave = finalize(loop, self._leave)
            leave.atexit = False
            if not _in_loop(loop, self._detach, loop, leave):
                leave()
        self.poke()
        self._leave()

    def disown(self) -> None:
        """Forget everything, in a forked child: the loops and threads are the parent's."""
        self._closed = True
        self._turn = threading.Condition()
        self._loops = WeakSet()
        self._latest = _none
        self._leader = None
        if self._wake is not None:
            for descriptor in self._wake:
                os.close(descriptor)
            self._wake = None

    def _lead(self, timeout: float) -> None:
        """Watch as the leader, without holding the turn."""
        if self._wake is None:
            self._wake = os.pipe()
            os.set_blocking(self._wake[1], False)
        self._leader = threading.get_ident()
        self._users += 1
        self._turn.release()
        try:
            self._watch_once(self._wake[0], timeout)
        finally:
            self._leave()
            self._turn.acquire()
            self._leader = None
            self._turn.notify_all()

    def _watch_once(self, wake: int, timeout: float) -> None:
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        for descriptor in tuple(self._readers):
            poll.register(descriptor, select.POLLIN)
        writer, write = self._writer
        if self._writing:
            poll.register(writer, select.POLLIN | select.POLLOUT)
        # Rounded up: a timeout of less than a millisecond must not become a busy loop.
        for descriptor, event in poll.poll(int(timeout * 1000) + 1):
            if descriptor == wake:
                os.read(wake, 1 << 12)
                continue
            if descriptor == writer and event & select.POLLOUT:
                write()
            if event & ~select.POLLOUT and (handler := self._readers.get(descriptor)) is not None:
                handler()

    def _start_thread(self) -> None:
        self._thread = True
        threading.Thread(
            target=self.wait,
            args=(lambda: self._closed, None),
            name="mt-aio-proc-reader",
            daemon=True,
        ).start()

    def _detach(self, loop: asyncio.AbstractEventLoop, leave: Callable[[], object]) -> None:
        for descriptor in self._readers:
            loop.remove_reader(descriptor)
        loop.remove_writer(self._writer[0])
        leave()

    def _leave(self) -> None:
        """Take note that one watcher less is there; the last one closes the descriptors."""
        with self._turn:
            self._users -= 1
            last = self._closed and self._users == 0
        if last:
            if self._wake is not None:
                for descriptor in self._wake:
                    os.close(descriptor)
                self._wake = None
            self._when_closed()


def _none() -> None:
    return None


def _in_loop(loop: asyncio.AbstractEventLoop, func: Callable[..., Any], *args: Any) -> bool:
    """Call a function where it may change the loop's watching; False if the loop is closed."""
    from asyncio import _get_running_loop

    if loop.is_closed():
        return False
    if _get_running_loop() is loop or not loop.is_running():
        func(*args)
        return True
    try:
        loop.call_soon_threadsafe(func, *args)
    except RuntimeError:  # closed this very moment
        return False
    return True
