"""The parent's side of a conversation: sends messages, hands out replies, tells of the end."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any
from weakref import finalize

from mt.aio.core.lowlevel import ContextVars, is_async, submit
from mt.aio.proc import _protocol as protocol
from mt.aio.proc._error import ChildClosedError, ChildError, HostLost, died, how_it_ended, raised
from mt.aio.proc._exit import links
from mt.aio.proc._forward import check, values
from mt.aio.proc._frames import LARGE, Frame, pack_small
from mt.aio.proc._host import Host, Launch, LocalHost
from mt.aio.proc._line import Ending
from mt.aio.proc._outbox import ELSEWHERE
from mt.aio.proc._pickling import dumps, loads
from mt.aio.proc._protocol import Conversation, Event, State
from mt.aio.proc._waiter import ThreadWaiter, Waiter

Report = Callable[[tuple[Any, ...]], None]


class Link:
    """One child, from its start to its end, wherever it lives.

    Everything below happens under one lock, in whatever thread something was found to be ready.
    `report` is called there, too, with what the reference calls output messages.
    """

    def __init__(
        self,
        name: str,
        setup: object,
        report: Report,
        context_vars: ContextVars,
        *,
        forward: tuple[str, ...] = (),
        host: Host | None = None,
    ) -> None:
        self.host = host = host or LocalHost()
        self.by_value = host.by_value(type(setup))
        segments, checked = dumps(setup, self.by_value), check(forward)  # before any start
        self.forward = forward
        self._carried = tuple(name for name in forward if ":" in name)
        self.context_vars = context_vars  # here, as they need not be fit to be pickled
        self.forgotten: finalize[..., Any] | None = None  # what ends it with its BgProcess
        self.succession = threading.RLock()  # for who starts another child in its place
        self._name = name
        self._report = report
        self._lock = threading.RLock()
        self._conversation: Conversation[Waiter] = Conversation()
        self._failure: tuple[bytes | None, str, list[str]] | None = None
        self._why = ""  # the end that this program wanted
        self._ending: Ending | None = None
        with self._lock:  # nothing is heard of it before it is known here
            self._line = host.launch(Launch(name, segments, checked, self._lock, self))
        self._outbox = self._line.outbox
        self.driver = self._line.driver
        self.owner = os.getpid()
        links[id(self)] = self

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._line.pid

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"{self._name} ({self._line.label})"

    @property
    def exitcode(self) -> int | None:
        """How the child ended; None while it has not."""
        return self._line.look()

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
        number = 0
        try:
            with self._lock:
                if conversation.state is State.CLOSING or conversation.state is State.ENDED:
                    raise self._error()  # noqa: TRY301 - the lock is for the number, too
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
        except BaseException:  # most likely a Ctrl-C
            self.forget(number)
            raise
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
        try:
            reply = loads(frame.segments)
        except Exception as exc:
            raise ChildError(f"{self.name} replied, but its reply cannot be loaded: {exc}") from exc
        if frame.kind == protocol.RAISED:
            raise raised(reply)
        return reply

    def begin_close(self) -> None:
        """Tell the child that no more messages will come, and those who wait that it is over."""
        with self._lock:
            if self.ended:
                return
            if self._conversation.state is not State.CLOSING:
                self._why = "was closed by this program"
            self._dismiss(Event.CLOSE)
            self._line.hang_up()

    def finish(self, timeout: float) -> None:
        """Wait for the child to end, first patiently, then by killing it; blocks."""
        self._line.finish(timeout)

    def finish_elsewhere(self, timeout: float) -> None:
        """Do the same in a thread of its own."""
        self._line.finish_elsewhere(timeout)

    def close(self, timeout: float) -> None:
        """End the child here, or elsewhere if an event loop runs in this thread."""
        self.begin_close()
        if _loop_is_running():
            self.finish_elsewhere(timeout)
        else:
            self.finish(timeout)

    def kill(self, why: str = "") -> None:
        """Kill the child, if this process is its parent and it lives."""
        self._line.kill(why)

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
        self.succession = threading.RLock()
        if not self.ended:
            self._conversation.dismiss(Event.END)
            self._why = f"belongs to the process {self.owner}, of which this is a fork"
            self._line.disown()

    def receive(self, frame: Frame) -> None:
        """Take what the child says."""
        waiter = self._conversation.receive(frame)
        if waiter is not None:
            waiter.settle(frame)
        elif frame.kind == protocol.TOLD:
            self._report(("told", frame.segments))
        elif frame.kind == protocol.FAILED:
            self._failure = loads(frame.segments)
        elif frame.kind == protocol.IGNORED:
            self._report(("ignored_exception", loads(frame.segments)))

    def printed(self, stream: str, text: str) -> None:
        """Take what the child has printed."""
        self._report(("write", stream, text))

    def over(self, ending: Ending) -> None:
        """End everything that waits for more."""
        self._ending = ending
        self._dismiss(Event.END)
        self._report(("exit", None if ending.exitcode == 0 else self._error()))

    def _dismiss(self, event: Event) -> None:
        for waiter in self._conversation.dismiss(event):
            waiter.settle(self._error)
        self.driver.poke()

    def _error(self) -> ChildError:
        """Make the error that says why there will be no reply."""
        if self._why:
            return ChildClosedError(f"{self.name} {self._why}; restart() starts another one")
        ending = self._ending or Ending(self._line.look())
        if ending.lost:
            lost = HostLost(f"{self.name} is lost: {ending.lost}")
            lost.__cause__ = ending.cause
            return lost
        how = ending.unborn or (how_it_ended(ending.exitcode) if self.ended else "is ending")
        if self._failure is None:
            return died(f"{self.name} {how}{ending.reason}", ending.exitcode, ending.output)
        text = f"{self.name} {how}: set-up failed, {self._failure[1]}"
        error = died(text, ending.exitcode, ending.output)
        error.__cause__ = raised(self._failure).__cause__
        return error


@cache
def _loops() -> ModuleType:
    """Import what needs asyncio, once there is a use for it."""
    from mt.aio.proc import _loops as module

    return module


def _loop_is_running() -> bool:
    # Another thread may be importing it just now: then it lacks the function, and runs no loop.
    running = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    return running is not None and running() is not None
