"""What a link needs of whatever brings its frames to a child, near or far, and how each ends."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mt.aio.proc._frames import Buffer, Frame

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True)
class Ending:
    """How a child ended, or that nobody can tell.

    Attributes:
        exitcode: its exit status, the negative number of a signal, or None if nobody knows.
        output: the last lines it printed.
        reason: what to add to that.
        lost: what happened to the host, if that is why nothing more will come.
        cause: the error that told so, if one did.
        unborn: how it came that there never was a child, if so; the exit status is another's.
    """

    exitcode: int | None
    output: tuple[str, ...] = ()
    reason: str = ""
    lost: str = ""
    cause: BaseException | None = None
    unborn: str = ""


class Listener(Protocol):
    """Who hears what a child says; called under the line's lock."""

    def receive(self, frame: Frame) -> None:
        """Take a frame."""

    def printed(self, stream: str, text: str) -> None:
        """Take what the child has printed before all frames that come after."""

    def over(self, ending: Ending) -> None:
        """Take note of the end; nothing comes after it."""


class Outlet(Protocol):
    """The way out, as `Outbox` does it."""

    def post(self, number: int, data: bytes) -> None:
        """Send a small frame, packed."""

    def share(self, kind: int, number: int, segments: list[Buffer]) -> Callable[[], None] | None:
        """Send a frame with large segments; return what has to be called, without the lock."""

    def withdraw(self, number: int) -> bool:
        """Do not send a frame, if nothing of it has been sent yet; True if that is so."""

    def clear(self) -> None:
        """Forget what has not been sent yet."""


class Watch(Protocol):
    """Who sees to it that what a child says is read, as `Driver` does it."""

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the event loop that runs in this thread take part."""

    def wait(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Block until something is done; False if it was not in time."""

    def poke(self) -> None:
        """Have the waiting threads look whether what they wait for is done."""


class Line(ABC):
    """The connection to one child, from its start to its end.

    Attributes:
        ended: whether the child is gone and everything it said has been passed on.
        owner: the process that made it; a fork of that has no business with the child.
        patience: seconds after which a killed child is given up; None: it is sure to end.
        where: what an error's text adds to the child's process id.
    """

    ended = False
    owner: int
    outbox: Outlet
    driver: Watch
    patience: float | None = None
    where = ""

    @property
    @abstractmethod
    def pid(self) -> int:
        """The child's process id, where it lives."""

    @property
    def label(self) -> str:
        """What errors call the child."""
        pid = self.pid
        return f"child process {pid}{self.where}" if pid > 0 else "no child process"

    @abstractmethod
    def look(self) -> int | None:
        """See how the child ended; None while it has not."""

    @abstractmethod
    def hang_up(self) -> None:
        """Tell the child that no more messages will come; called under the lock."""

    @abstractmethod
    def kill(self, why: str = "") -> None:
        """Kill the child, if this process is its owner and it lives."""

    @abstractmethod
    def give_up(self) -> None:
        """Take the child for ended, as nobody can tell."""

    @abstractmethod
    def disown(self) -> None:
        """In a forked child of the owner: let go of everything, touch nothing else."""

    def finish(self, timeout: float) -> None:
        """Wait for the child to end, first patiently, then by killing it; blocks."""
        if not self.driver.wait(lambda: self.ended, timeout):
            self.kill("since it had ended the conversation but went on running")
            if not self.driver.wait(lambda: self.ended, self.patience) and not self.ended:
                self.give_up()

    def finish_elsewhere(self, timeout: float) -> None:
        """Do the same in a thread of its own."""
        thread = threading.Thread(
            target=self.finish, args=(timeout,), name="mt-aio-proc-close", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is about to end, and starts no threads any more
            self.kill()
