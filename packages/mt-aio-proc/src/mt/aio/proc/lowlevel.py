"""The errors of a helper process, and the interface of the places where one can live."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.proc._error import (
    ChildClosedError,
    ChildDiedError,
    ChildError,
    ChildRaisedError,
    HostLost,
)
from mt.aio.proc._host import Host, Launch, LocalHost
from mt.aio.proc._line import Ending, Line, Listener
from mt.aio.proc._remote import Carrier, RemoteHost

TYPE_CHECKING = False  # checkers take this very name for true
if TYPE_CHECKING:
    from mt.aio.proc._station import Station

__all__ = [
    "Carrier",
    "ChildClosedError",
    "ChildDiedError",
    "ChildError",
    "ChildRaisedError",
    "Ending",
    "Host",
    "HostLost",
    "Launch",
    "Line",
    "Listener",
    "LocalHost",
    "RemoteHost",
    "Station",
]

publish(globals())


def __getattr__(name: str) -> object:
    """Import what needs asyncio when it is first used."""
    if name != "Station":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mt.aio.proc._station import Station

    globals()[name] = Station
    publish(globals())
    return Station
