"""Who drives a child on the machine where it lives: starts it, writes, reads, sees its end.

It is the same whether the one it listens for is in this process, as it is for a `LocalHost`, or
at the other end of a network: see `_station`.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from mt.aio.proc import _oom
from mt.aio.proc import _protocol as protocol
from mt.aio.proc._driver import Driver
from mt.aio.proc._frames import SOME, Buffer, Frame, Missing, Parser
from mt.aio.proc._line import Ending, Line, Listener
from mt.aio.proc._outbox import Outbox, Outgoing
from mt.aio.proc._output import Output

if TYPE_CHECKING:
    from mt.aio.proc._start import Child

GONE = 1.0  # seconds for a child that has hung up to be gone; then it is killed; arbitrary

_KILLED = -9  # by SIGKILL
_REPLIES = (protocol.RETURNED, protocol.RAISED, protocol.PART)


class Relay(Line):
    """One child of this machine, from its start to its end.

    Everything below happens under one lock, in whatever thread the driver found something ready.
    The listener is called there, too.

    Args:
        child: what has been started.
        hello: what it is told first.
        lock: the lock.
        listener: who hears what the child says.
    """

    outbox: Outbox
    driver: Driver
    patience = 5.0  # arbitrary

    def __init__(
        self,
        child: Child,
        hello: list[Buffer],
        lock: threading.RLock,
        listener: Listener,
    ) -> None:
        _oom.begin()
        self.owner = os.getpid()
        self._lock = lock
        self._listener = listener
        self._parser = Parser()
        self._reason = ""  # what to add to how the child ended
        self._closing = False
        self._hung_up = False
        self._child = child
        self._recv = child.channel.recv
        self._output = Output(child.stdout, child.stderr)
        self._watched = child.process.watched
        self.driver = Driver(
            {
                child.channel.fileno(): self._readable,
                child.stdout: self._printed,
                child.stderr: self._printed,
                self._watched: self._exited,
            },
            (child.channel.fileno(), self._writable),
            child.close,
        )
        self.outbox = Outbox(child.channel, child.aside, self._lock, self.driver.watch_writing)
        with self._lock:
            self.outbox.put(Outgoing(0, hello))

    @property
    def pid(self) -> int:
        return self._child.process.pid

    def look(self) -> int | None:
        self._exited()
        return self._child.process.returncode

    def hang_up(self) -> None:
        import socket

        self._closing = True
        self.outbox.clear()
        self.driver.watch_writing(False)
        try:
            self._child.channel.shutdown(socket.SHUT_WR)
        except OSError:  # the child is gone already
            return

    def kill(self, why: str = "") -> None:
        if why:
            self._reason = f", {why}"
        if os.getpid() == self.owner:
            self._child.process.kill()

    def give_up(self) -> None:
        """Look for ourselves: a killed child ends, but the one who is to say so may be stopped."""
        with self._lock:
            if not self.ended:
                self._child.process.doubt()
        self._exited()
        self.driver.wait(lambda: self.ended, None)

    def disown(self) -> None:
        self._lock = threading.RLock()
        if not self.ended:
            self.ended = True
            self.driver.disown()
            self._child.disown()

    def _writable(self) -> None:
        with self._lock:
            self.outbox.write()

    def _readable(self) -> None:
        """Take what the child says; what it printed before that comes first."""
        with self._lock:
            if self.ended:
                return
            self._take(self._read_channel())
            if self._hung_up:
                self.driver.ignore(self._child.channel.fileno())
                if not self._closing:  # else it is being seen to
                    self.finish_elsewhere(GONE)

    def _take(self, frames: list[Frame] | None) -> None:
        """Hand out the output that came before the frames, then the frames, come what may."""
        replies = False
        for frame in frames or ():
            replies = replies or frame.kind in _REPLIES
        try:
            self._take_output(unfinished=replies)
        finally:
            for frame in frames or ():
                if frame.region is not None:
                    try:
                        self.outbox.memory.place(frame)
                    except Exception as error:  # noqa: BLE001 - it belongs to who gets the frame
                        frame.segments = Missing(error)  # type: ignore[assignment]  # see there
                elif frame.kind == protocol.RELEASE:
                    self.outbox.memory.noted(frame)
                self._listener.receive(frame)

    def _read_channel(self) -> list[Frame] | None:
        """Read once from the channel; None if there is nothing to read."""
        wanted = self._parser.wanted()
        try:
            if wanted is None:
                data = self._recv(SOME)
                if data:
                    return self._parser.feed(data)
            elif count := self._child.channel.recv_into(wanted):
                return self._parser.filled(count)
        except BlockingIOError:
            return None
        except ConnectionError:
            pass
        self._hung_up = True
        return None

    def _printed(self) -> None:
        """Take what the child has printed."""
        with self._lock:
            if not self.ended:
                self._take_output(unfinished=False)

    def _take_output(self, *, unfinished: bool, last: bool = False) -> None:
        ended = self.driver.ignore
        for name, text in self._output.take(ended, unfinished=unfinished, last=last):
            self._listener.printed(name, text)

    def _exited(self) -> None:
        """Read the child's last words and pass on that there are no more."""
        with self._lock:
            if self.ended:
                return
            process = self._child.process
            if not process.ended():
                if process.watched != self._watched:  # something else tells of the end from now on
                    self.driver.ignore(self._watched)
                    self._watched = process.watched
                    self.driver.watch(self._watched, self._exited)
                return
            if process.returncode == _KILLED and not self._reason and (killed := _oom.since_last()):
                self._reason = f"; the system has just killed {killed} for want of memory"
            try:
                while (frames := self._read_channel()) is not None:
                    self._take(frames)
                self._take_output(unfinished=True, last=True)
            finally:
                self.ended = True
                last = tuple(self._output.last)
                ending = Ending(process.returncode, last, self._reason, unborn=process.unborn)
                try:
                    self._listener.over(ending)
                finally:
                    self.outbox.close()
                    self.driver.close()
