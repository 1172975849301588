"""Sending open descriptors to another process, without all that `socket` imports."""

from __future__ import annotations

import _socket as socket
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZE = 4  # bytes of a descriptor on its way
_MOST = 8  # descriptors in one message; arbitrary, and all that is ever sent here


def send(through: socket.socket, data: bytes, descriptors: Sequence[int]) -> None:
    """Send a few bytes with descriptors, now or not at all."""
    rights = b"".join(descriptor.to_bytes(_SIZE, sys.byteorder) for descriptor in descriptors)
    flags = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
    through.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], flags)


def introduce(through: int) -> None:
    """Tell, in a new child, which process it is; the parent may be gone. Close the descriptor."""
    pid = os.getpid()
    report = socket.socket(fileno=through)
    process = os.pidfd_open(pid)
    try:
        send(report, pid.to_bytes(8, "little", signed=True), [process])
    except OSError:
        return
    finally:
        report.close()
        os.close(process)


def receive(through: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """Receive what `send` sent; no bytes mean the end. The descriptors are not inherited."""
    space = socket.CMSG_SPACE(_MOST * _SIZE)
    data, messages, *_ = through.recvmsg(size, space, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    descriptors = [
        int.from_bytes(rights[begin : begin + _SIZE], sys.byteorder)
        for _, _, rights in messages
        for begin in range(0, len(rights) - len(rights) % _SIZE, _SIZE)
    ]
    return data, descriptors
