"""The parent's side of a child: writing messages, reading replies and output, noticing the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any
from weakref import finalize

from mt.aio.core.lowlevel import ContextVars, is_async, submit
from mt.aio.proc import _oom
from mt.aio.proc import _protocol as protocol
from mt.aio.proc._driver import Driver
from mt.aio.proc._error import ChildClosedError, ChildError, died, raised
from mt.aio.proc._exit import links
from mt.aio.proc._forward import check, values
from mt.aio.proc._frames import LARGE, SOME, Frame, Parser, pack_small
from mt.aio.proc._outbox import ELSEWHERE, Outbox, Outgoing
from mt.aio.proc._output import Output
from mt.aio.proc._pickling import dumps, loads
from mt.aio.proc._protocol import Conversation, Event, State
from mt.aio.proc._start import greeting, start
from mt.aio.proc._waiter import ThreadWaiter, Waiter

GONE = 1.0  # seconds for a child that has hung up to be gone; then it is killed; arbitrary

_KILLED = -9  # by SIGKILL
_REPLIES = (protocol.RETURNED, protocol.RAISED, protocol.PART)

Report = Callable[[tuple[Any, ...]], None]


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
        *,
        forward: tuple[str, ...] = (),
    ) -> None:
        hello = greeting(dumps(setup, by_value), check(forward))  # before anything is started
        _oom.begin()
        self.owner = os.getpid()
        self.by_value = by_value
        self.forward = forward
        self._carried = tuple(name for name in forward if ":" in name)
        self.context_vars = context_vars  # here, as they need not be fit to be pickled
        self.forgotten: finalize[..., Any] | None = None  # what ends it with its BgProcess
        self._name = name
        self._report = report
        self._lock = threading.RLock()
        self._conversation: Conversation[Waiter] = Conversation()
        self._parser = Parser()
        self._failure: tuple[bytes | None, str, list[str]] | None = None
        self._why = ""  # the end that this program wanted
        self._reason = ""  # what to add to how the child ended
        self._hung_up = False
        self._child = child = start()
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
        self._outbox = Outbox(child.channel, child.aside, self._lock, self.driver.watch_writing)
        links.add(self)
        with self._lock:
            self._outbox.put(Outgoing(0, hello))

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.process.pid

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"{self._name} (child process {self.pid})"

    @property
    def exitcode(self) -> int | None:
        """How the child ended; None while it has not."""
        self._exited()
        return self._child.process.returncode

    @property
    def ended(self) -> bool:
        """Whether the child is gone and everything it said has been read."""
        return self._conversation.state is State.ENDED

    def waiter(self, context_vars: ContextVars) -> Waiter:
        """Make who waits for one reply."""
        if is_async(context_vars or self.context_vars):
            waiter: Waiter = _loops().LoopWaiter(self.driver)
            return waiter
        return ThreadWaiter(self.driver)

    def listener(self, context_vars: ContextVars) -> Waiter:
        """Make who waits for a reply in parts."""
        if is_async(context_vars or self.context_vars):
            waiter: Waiter = _loops().LoopListener(self.driver)
            return waiter
        return ThreadWaiter(self.driver)

    def send(self, waiter: Waiter, message: object, kind: int = protocol.MESSAGE) -> int:
        """Pickle a message and set it on its way; return its number."""
        if self._carried:
            message = values(self._carried), message
        segments = dumps(message, self.by_value)
        conversation = self._conversation
        with self._lock:
            if conversation.state is State.CLOSING or conversation.state is State.ENDED:
                raise self._error()
            number = conversation.send(waiter)
            if len(segments) == 1 and len(segments[0]) < LARGE:
                self._outbox.post(number, pack_small(kind, number, segments[0]))
                return number
            fill = self._outbox.share(kind, number, segments)
        if fill is not None:
            if isinstance(waiter, ThreadWaiter) or sum(map(len, segments)) < ELSEWHERE:
                fill()
            else:
                submit(fill)
        return number

    def more(self, number: int, kind: int) -> None:
        """Ask for another part of a reply, or to be spared the rest."""
        with self._lock:
            if self._conversation.state is State.READY:
                self._outbox.post(-1, pack_small(kind, number, b""))

    def forget(self, number: int) -> bool:
        """Nobody waits for this reply any more; if it has not begun, the message is not sent.

        Returns:
            Whether the child may be at work on it, or will be.
        """
        with self._lock:
            expected = self._conversation.forget(number)
            return expected and not self._outbox.withdraw(number) and not self.ended

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
            self._outbox.clear()
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
            target=self.finish, args=(timeout,), name="mt-aio-proc-close", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is about to end, and starts no threads any more
            self.kill()

    def kill(self, why: str = "") -> None:
        """Kill the child, if this process is its parent and it lives."""
        if why:
            self._reason = f", {why}"
        if os.getpid() == self.owner:
            self._child.process.kill()

    def abandon(self, timeout: float) -> None:
        """Close the link although nobody waits for the end."""
        if os.getpid() == self.owner and not self.ended:
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

    def _writable(self) -> None:
        with self._lock:
            self._outbox.write()

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
        replies = False
        for frame in frames or ():
            replies = replies or frame.kind in _REPLIES
        try:
            self._take_output(unfinished=replies)
        finally:  # on_write may be where a Ctrl-C hits
            for frame in frames or ():
                self._receive(frame)

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

    def _receive(self, frame: Frame) -> None:
        if frame.region is not None:
            self._outbox.memory.place(frame)
        waiter = self._conversation.receive(frame)
        if waiter is not None:
            waiter.settle(frame)
        elif frame.kind == protocol.RELEASE:
            self._outbox.memory.noted(frame)
        elif frame.kind == protocol.TOLD:
            self._report(("told", loads(frame.segments)))
        elif frame.kind == protocol.FAILED:
            self._failure = loads(frame.segments)
        elif frame.kind == protocol.IGNORED:
            self._report(("ignored_exception", loads(frame.segments)))

    def _printed(self) -> None:
        """Take what the child has printed."""
        with self._lock:
            if not self.ended:
                self._take_output(unfinished=False)

    def _take_output(self, *, unfinished: bool, last: bool = False) -> None:
        ended = self.driver.ignore
        for name, text in self._output.take(ended, unfinished=unfinished, last=last):
            self._report(("write", name, text))

    def _exited(self) -> None:
        """Read the child's last words and end everything that waits for more."""
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
                self._dismiss(Event.END)
                self._outbox.close()
                self.driver.close()
            error = None if process.returncode == 0 else self._error()
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
        exitcode, last = self._child.process.returncode, tuple(self._output.last)
        if self._failure is None:
            return died(self.name, exitcode, last, self._reason)
        error = died(self.name, exitcode, last, f": set-up failed, {self._failure[1]}")
        error.__cause__ = raised(self._failure).__cause__
        return error


@cache
def _loops() -> ModuleType:
    """Import what needs asyncio, once there is a use for it."""
    from mt.aio.proc import _loops as module

    return module
