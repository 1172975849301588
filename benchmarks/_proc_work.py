"""What the children of the peers do in suite `proc`; importable, so that all can start it."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any


def echo(msg: Any) -> Any:
    """Return the message."""
    return msg


async def echo_async(msg: Any) -> Any:
    """Return the message, for a peer that wants a coroutine function."""
    return msg


def serve_pipe(connection: Connection) -> None:
    """Echo over a blocking pipe, for ever."""
    while True:
        connection.send(connection.recv())
