"""What parent and child say to each other, and who may say what when. No I/O in here.

The parent numbers its messages; a reply bears the number of its message. That is all that keeps
a late reply from reaching the wrong caller: a number nobody waits for any more is dropped.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Generic, TypeVar

from mt.aio.proc._frames import (
    FAILED,
    IGNORED,
    LARGE,
    MESSAGE,
    MORE,
    PART,
    RAISED,
    READY,
    RELEASE,
    RETURNED,
    SETUP,
    STOP,
    STREAM,
    TOLD,
    Frame,
    Parser,
    pack,
    pack_small,
)

__all__ = [
    "EVENT_OF_KIND",
    "FAILED",
    "IGNORED",
    "LARGE",
    "MESSAGE",
    "MORE",
    "PART",
    "RAISED",
    "READY",
    "RELEASE",
    "RETURNED",
    "SETUP",
    "STOP",
    "STREAM",
    "TABLE",
    "TOLD",
    "Conversation",
    "Event",
    "Frame",
    "Parser",
    "ProtocolError",
    "State",
    "pack",
    "pack_small",
]


class State(Enum):
    """Where the conversation stands, seen by the parent."""

    STARTING = auto()  # the child has not said yet that it is ready; messages may be under way
    READY = auto()
    CLOSING = auto()  # no more messages; replies that still come are nobody's
    ENDED = auto()  # the child is gone


class Event(Enum):
    """What can happen to the conversation."""

    SEND = "send"  # the parent sends a message
    READY = "ready"  # the child is ready
    REPLY = "reply"  # the child has returned or raised
    PART = "part"  # the child has given a part of a stream; more will follow
    IGNORED = "ignored"  # the child tells of what no message has asked for
    FAILED = "failed"  # the child could not be set up; it will exit
    CLOSE = "close"  # the parent wants no more
    END = "end"  # the child is gone


TABLE: dict[tuple[State, Event], State] = {
    (State.STARTING, Event.SEND): State.STARTING,
    (State.STARTING, Event.READY): State.READY,
    (State.STARTING, Event.IGNORED): State.STARTING,
    (State.STARTING, Event.FAILED): State.CLOSING,
    (State.STARTING, Event.CLOSE): State.CLOSING,
    (State.STARTING, Event.END): State.ENDED,
    (State.READY, Event.SEND): State.READY,
    (State.READY, Event.REPLY): State.READY,
    (State.READY, Event.PART): State.READY,
    (State.READY, Event.IGNORED): State.READY,
    (State.READY, Event.CLOSE): State.CLOSING,
    (State.READY, Event.END): State.ENDED,
    (State.CLOSING, Event.READY): State.CLOSING,
    (State.CLOSING, Event.REPLY): State.CLOSING,
    (State.CLOSING, Event.PART): State.CLOSING,
    (State.CLOSING, Event.IGNORED): State.CLOSING,
    (State.CLOSING, Event.FAILED): State.CLOSING,
    (State.CLOSING, Event.CLOSE): State.CLOSING,
    (State.CLOSING, Event.END): State.ENDED,
    (State.ENDED, Event.CLOSE): State.ENDED,
    (State.ENDED, Event.END): State.ENDED,
}
"""The next state for each event; what is not listed must not happen."""

EVENT_OF_KIND = {
    READY: Event.READY,
    FAILED: Event.FAILED,
    RETURNED: Event.REPLY,
    RAISED: Event.REPLY,
    IGNORED: Event.IGNORED,
    PART: Event.PART,
    TOLD: Event.IGNORED,
    RELEASE: Event.IGNORED,
}


# Where sending and replying change nothing. Lists: an Enum's hash costs more than a look at all.
_SENDING = [state for state in State if TABLE.get((state, Event.SEND)) is state]
_REPLYING = [state for state in State if TABLE.get((state, Event.REPLY)) is state]
_REPLIES = (RETURNED, RAISED)


class ProtocolError(RuntimeError):
    """Something happened that the table does not allow."""


Waiter = TypeVar("Waiter")


class Conversation(Generic[Waiter]):
    """The parent's view of the conversation: its state, and who waits for which reply."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self._number = 0
        self._waiters: dict[int, Waiter] = {}

    def happens(self, event: Event) -> None:
        """Go to the next state."""
        try:
            self.state = TABLE[self.state, event]
        except KeyError:
            raise ProtocolError(f"{event.value!r} while {self.state.name.lower()}") from None

    def send(self, waiter: Waiter) -> int:
        """Number a message whose reply somebody waits for."""
        if self.state not in _SENDING:  # else it stays as it is
            self.happens(Event.SEND)
        self._number += 1
        self._waiters[self._number] = waiter
        return self._number

    def forget(self, number: int) -> bool:
        """Nobody waits for this reply any more: when it comes, it is dropped.

        Returns:
            Whether somebody did.
        """
        return self._waiters.pop(number, None) is not None

    def receive(self, frame: Frame) -> Waiter | None:
        """Take a frame from the child; return who waits for it, if it is a reply or a part."""
        kind = frame.kind
        if kind in _REPLIES and self.state in _REPLYING:  # the usual case, made quick
            return self._waiters.pop(frame.number, None)
        try:
            event = EVENT_OF_KIND[kind]
        except KeyError:
            raise ProtocolError(f"a child does not send frames of kind {kind}") from None
        self.happens(event)
        return self._waiters.get(frame.number) if event is Event.PART else None

    def dismiss(self, event: Event) -> list[Waiter]:
        """End or close the conversation; return those who wait in vain."""
        self.happens(event)
        waiters = list(self._waiters.values())
        self._waiters.clear()
        return waiters
