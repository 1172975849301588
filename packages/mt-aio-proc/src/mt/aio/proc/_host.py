"""Where children live: on this machine, unless a host says otherwise."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mt.aio.proc._frames import Buffer

if TYPE_CHECKING:
    from mt.aio.proc._line import Line, Listener


@dataclass(frozen=True)
class Launch:
    """What it takes to launch a child.

    Attributes:
        name: what the child is called in errors.
        setup: the pickled instance that handles its messages, as segments.
        forward: what else it is told when it starts.
        lock: a lock of the caller's, under which the listener is to be called.
        listener: who hears what the child says.
    """

    name: str
    setup: list[Buffer]
    forward: tuple[str, ...]
    lock: threading.RLock
    listener: Listener


class Host(ABC):
    """A place where children are launched, given to `BgProcess(host=...)`.

    One host serves any number of processes. Whatever the place, a child is driven by the same
    relay, speaks the same protocol, and these promises hold: a message is handled at most once;
    messages are handled in the order in which they were sent; what a handler printed is handed
    over before its reply; each message ends in one way, its reply or an error; when the place is
    lost, all who wait and all who send later get a `HostLost`, and no other child is started
    unless somebody asks for it.
    """

    def by_value(self, cls: type) -> list[str]:
        """Name the modules of a class and its bases that cannot be imported there.

        Their code is sent along. The default names what a fresh interpreter of this machine
        could not import.

        Args:
            cls: the class of the instance that the child gets.
        """
        from mt.aio.proc._pickling import not_importable

        return not_importable(cls)

    @abstractmethod
    def launch(self, launch: Launch) -> Line:
        """Launch a child, or begin to, without waiting for it.

        Args:
            launch: what child, and who listens to it.

        Returns:
            The connection to it.

        Raises:
            OSError: the system refuses.
        """


class LocalHost(Host):
    """This machine: the default."""

    def launch(self, launch: Launch) -> Line:
        """Launch a child of this process."""
        from mt.aio.proc import _start

        return _start.launch(launch.setup, launch.forward, launch.lock, launch.listener)
