"""The parent's side of a child: writing messages, reading replies and output, noticing the end."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from mt.aio.core.lowlevel import ContextVars
from mt.aio.proc import _protocol as protocol
from mt.aio.proc._driver import Driver
from mt.aio.proc._error import ChildClosedError, ChildError, died, raised
from mt.aio.proc._output import KEPT, Stream
from mt.aio.proc._pickling import dumps, loads
from mt.aio.proc._protocol import Buffer, Conversation, Event, Frame, State
from mt.aio.proc._start import greeting, start
from mt.aio.proc._waiter import Waiter

AT_EXIT = 0.5  # seconds for all children to end when the interpreter does; arbitrary
MOST_BUFFERS = 64  # in one write; arbitrary, far below what systems allow
GONE = 1.0  # seconds for a child that has hung up to be gone; then it is killed; arbitrary

Report = Callable[[tuple[Any, ...]], None]


class Outgoing:
    """A frame on its way out, as far as it has not been written yet."""

    def __init__(self, number: int, buffers: list[Buffer]) -> None:
        self.number = number
        self.buffers = [memoryview(buffer).cast("B") for buffer in buffers]
        self.begun = False

    def written(self, count: int) -> bool:
        """Take note of bytes that were written; True when it is all done."""
        self.begun = True
        while self.buffers and count >= len(self.buffers[0]):
            count -= len(self.buffers.pop(0))
        if self.buffers:
            self.buffers[0] = self.buffers[0][count:]
        return not self.buffers


class Link:
    """One child, from its start to its end.

    Everything below happens under one lock, in whatever thread the driver found something ready.
    `report` is called there, too, with what the reference calls output messages.
    """

    def __init__(
        self,
        name: str,
        setup: object,
        by_value: list[str],
        report: Report,
        context_vars: ContextVars,
    ) -> None:
        hello = greeting(dumps(setup, by_value))  # before anything is started
        self.owner = os.getpid()
        self.by_value = by_value
        self.context_vars = context_vars  # here, as they need not be fit to be pickled
        self._report = report
        self._lock = threading.RLock()
        self._conversation: Conversation[Waiter] = Conversation()
        self._parser = protocol.Parser()
        self._outgoing: deque[Outgoing] = deque()
        self._failure: tuple[bytes | None, str, list[str]] | None = None
        self._last: deque[str] = deque(maxlen=KEPT)
        self._why = ""  # the end that this program wanted
        self._reason = ""  # what to add to how the child ended
        self._hung_up = False
        self._child = child = start()
        self.name = f"{name} (child process {child.popen.pid})"
        self._streams = [
            Stream("stdout", child.stdout, self._last),
            Stream("stderr", child.stderr, self._last),
        ]
        self.driver = Driver(
            {
                child.channel.fileno(): self._readable,
                child.stdout: self._printed,
                child.stderr: self._printed,
                child.ended: self._exited,
            },
            (child.channel.fileno(), self._writable),
            child.close,
        )
        _links.add(self)
        with self._lock:
            self._write(Outgoing(0, hello))

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.popen.pid

    @property
    def exitcode(self) -> int | None:
        """How the child ended; None while it has not."""
        self._exited()
        return self._child.popen.returncode

    @property
    def ended(self) -> bool:
        """Whether the child is gone and everything it said has been read."""
        return self._conversation.state is State.ENDED

    def send(self, waiter: Waiter, message: object) -> int:
        """Pickle a message and set it on its way; return its number."""
        segments = dumps(message, self.by_value)
        with self._lock:
            if self._conversation.state in (State.CLOSING, State.ENDED):
                raise self._error()
            number = self._conversation.send(waiter)
            frame = Frame(protocol.MESSAGE, number, segments)
            self._write(Outgoing(number, protocol.pack(frame)))
        return number

    def forget(self, number: int) -> None:
        """Nobody waits for this reply any more; if it has not begun, the message is not sent."""
        with self._lock:
            self._conversation.forget(number)
            for outgoing in self._outgoing:
                if outgoing.number == number and not outgoing.begun:
                    self._outgoing.remove(outgoing)
                    break

    def result(self, frame: Frame) -> Any:
        """Make of a reply what `send` returns or raises."""
        if frame.kind == protocol.RAISED:
            raise raised(loads(frame.segments))
        try:
            return loads(frame.segments)
        except Exception as exc:
            raise ChildError(f"{self.name} replied, but its reply cannot be loaded: {exc}") from exc

    def begin_close(self) -> None:
        """Tell the child that no more messages will come, and those who wait that it is over."""
        with self._lock:
            if self.ended:
                return
            if self._conversation.state is not State.CLOSING:
                self._why = "was closed by this program"
            self._dismiss(Event.CLOSE)
            self._outgoing.clear()
            self.driver.watch_writing(False)
            self._hang_up()

    def finish(self, timeout: float) -> None:
        """Wait for the child to end, first patiently, then by killing it; blocks."""
        if not self.driver.wait(lambda: self.ended, timeout):
            self._reason = ", since it had ended the conversation but went on running"
            self.kill()
            self.driver.wait(lambda: self.ended, None)

    def finish_elsewhere(self, timeout: float) -> None:
        """Do the same in a thread of its own."""
        thread = threading.Thread(
            target=self.finish, args=(timeout,), name=f"mt-aio-proc-close-{self.pid}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is about to end, and starts no threads any more
            self.kill()

    def kill(self) -> None:
        """Kill the child, if this process is its parent and it lives."""
        if os.getpid() == self.owner:
            self._child.popen.kill()

    def abandon(self, timeout: float) -> None:
        """Close the link although nobody waits for the end."""
        if os.getpid() == self.owner:
            self.begin_close()
            self.finish_elsewhere(timeout)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Be nothing on the other side: a child has no child."""
        return type(None), ()

    def disown(self) -> None:
        """In a forked child of the parent: close the inherited ends, touch nothing else."""
        self._lock = threading.RLock()
        if not self.ended:
            self._conversation.dismiss(Event.END)
            self.driver.disown()
            self._why = f"belongs to the process {self.owner}, of which this is a fork"
            self._child.disown()
            self._child.popen.returncode = 0  # or its destructor would try to reap it

    def _write(self, outgoing: Outgoing) -> None:
        self._outgoing.append(outgoing)
        if len(self._outgoing) == 1:
            self._writable()

    def _writable(self) -> None:
        """Write as much as fits."""
        with self._lock:
            while self._outgoing:
                try:
                    count = self._child.write(self._outgoing[0].buffers[:MOST_BUFFERS])
                except BlockingIOError:
                    self.driver.watch_writing(True)
                    return
                except OSError:  # the child is gone, or going: reading will tell
                    self._outgoing.clear()
                    break
                if self._outgoing[0].written(count):
                    self._outgoing.popleft()
            self.driver.watch_writing(False)

    def _readable(self) -> None:
        """Take what the child says; what it printed before that comes first."""
        with self._lock:
            if self.ended:
                return
            self._take(self._read_channel())
            if self._hung_up:
                self.driver.ignore(self._child.channel.fileno())
                if self._conversation.state is not State.CLOSING:  # else it is being seen to
                    self.finish_elsewhere(GONE)

    def _take(self, frames: list[Frame] | None) -> None:
        """Hand out the output that came before the frames, then the frames, come what may."""
        replies = any(frame.kind in (protocol.RETURNED, protocol.RAISED) for frame in frames or ())
        try:
            self._take_output(unfinished=replies)
        finally:  # on_write may be where a Ctrl-C hits
            for frame in frames or ():
                self._receive(frame)

    def _read_channel(self) -> list[Frame] | None:
        """Read once from the channel; None if there is nothing to read."""
        channel = self._child.channel
        wanted = self._parser.wanted()
        try:
            if wanted is not None:
                count = channel.recv_into(wanted)
                frames = self._parser.filled(count)
            else:
                data = channel.recv(protocol.LARGE)
                count = len(data)
                frames = self._parser.feed(data)
        except BlockingIOError:
            return None
        except ConnectionError:
            count = 0
        if count == 0:
            self._hung_up = True
            return None
        return frames

    def _receive(self, frame: Frame) -> None:
        waiter = self._conversation.receive(frame)
        if waiter is not None:
            waiter.settle(frame)
        elif frame.kind == protocol.FAILED:
            self._failure = loads(frame.segments)
        elif frame.kind == protocol.IGNORED:
            self._report(("ignored_exception", loads(frame.segments)))

    def _printed(self) -> None:
        """Take what the child has printed."""
        with self._lock:
            if not self.ended:
                self._take_output(unfinished=False)

    def _take_output(self, *, unfinished: bool) -> None:
        for stream in self._streams:
            if not (stream.ended or stream.read()):
                self.driver.ignore(stream.descriptor)
            if text := stream.take(unfinished=unfinished):
                self._report(("write", stream.name, text))

    def _exited(self) -> None:
        """Read the child's last words and end everything that waits for more."""
        with self._lock:
            if self.ended or self._child.popen.poll() is None:
                return
            try:
                while (frames := self._read_channel()) is not None:
                    self._take(frames)
                self._take_output(unfinished=True)
            finally:
                self._dismiss(Event.END)
                self.driver.close()
            error = None if self._child.popen.returncode == 0 else self._error()
            self._report(("exit", error))

    def _dismiss(self, event: Event) -> None:
        for waiter in self._conversation.dismiss(event):
            waiter.settle(self._error)
        self.driver.poke()

    def _hang_up(self) -> None:
        import socket

        try:
            self._child.channel.shutdown(socket.SHUT_WR)
        except OSError:  # the child is gone already
            return

    def _error(self) -> ChildError:
        """Make the error that says why there will be no reply."""
        if self._why:
            return ChildClosedError(f"{self.name} {self._why}; restart() starts another one")
        exitcode, last = self._child.popen.returncode, tuple(self._last)
        if self._failure is None:
            return died(self.name, exitcode, last, self._reason)
        error = died(self.name, exitcode, last, f": set-up failed, {self._failure[1]}")
        error.__cause__ = raised(self._failure).__cause__
        return error


def _disown_all() -> None:
    for link in list(_links):
        link.disown()


def _close_all() -> None:
    """Let all children end with the interpreter; it waits a moment for them, then kills."""
    links = [link for link in _links if not link.ended and os.getpid() == link.owner]
    for link in links:
        link.begin_close()
    deadline = time.monotonic() + AT_EXIT
    for link in links:
        link.finish(max(deadline - time.monotonic(), 0))


_links: WeakSet[Link] = WeakSet()
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
