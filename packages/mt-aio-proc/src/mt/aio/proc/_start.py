"""Starting a child: a fresh interpreter, never a fork of the user's process."""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from mt.aio.proc import _child, _protocol
from mt.aio.proc._protocol import Buffer, Frame

if TYPE_CHECKING:
    import socket
    import subprocess


@dataclass(frozen=True)
class Child:
    """A started child and the parent's ends of what connects the two."""

    popen: subprocess.Popen[bytes]
    channel: socket.socket
    lifeline: int
    stdout: int
    stderr: int
    ended: int  # a descriptor that is readable when the process has ended
    ending: IO[bytes] | None  # its other end, if there is one

    def write(self, buffers: list[memoryview]) -> int:
        """Write to the channel what fits; a child that is gone is an error, never a SIGPIPE."""
        import socket

        return self.channel.sendmsg(buffers, (), getattr(socket, "MSG_NOSIGNAL", 0))

    def close(self) -> None:
        """Close the parent's ends."""
        self.channel.close()
        for descriptor in (self.lifeline, self.stdout, self.stderr, self.ended):
            os.close(descriptor)

    def disown(self) -> None:
        """Close everything in a fork of the parent, which must not keep any end open."""
        self.close()
        if self.ending is not None:
            self.ending.close()


def start() -> Child:
    """Start an interpreter that waits for its set-up. On error, nothing is left.

    Raises:
        NotImplementedError: on Windows, which lacks what the channel is made of.
        RuntimeError: nobody knows which interpreter to start (in an embedded Python).
        OSError: the system refuses.
    """
    if sys.platform == "win32":
        raise NotImplementedError("BgProcess needs a POSIX system; on Windows, use it inside WSL")
    if not sys.executable:
        raise RuntimeError("sys.executable is empty: set it to the interpreter to be started")
    import socket

    with ExitStack() as ours, ExitStack() as theirs:
        channel, their_channel = socket.socketpair()
        ours.enter_context(channel)
        theirs.enter_context(their_channel)
        their_lifeline, lifeline = _pipe(theirs, ours)
        stdout, their_stdout = _pipe(ours, theirs)
        stderr, their_stderr = _pipe(ours, theirs)
        popen = _popen((their_channel.fileno(), their_lifeline), their_stdout, their_stderr)
        ours.callback(popen.wait)
        ours.callback(popen.kill)
        channel.setblocking(False)
        os.set_blocking(stdout, False)
        os.set_blocking(stderr, False)
        child = Child(popen, channel, lifeline, stdout, stderr, *_end_of(popen))
        ours.pop_all()
    return child


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Make a pipe whose ends are closed with what they are entered in."""
    readable, writable = os.pipe()
    reader.callback(os.close, readable)
    writer.callback(os.close, writable)
    return readable, writable


def _popen(passed: tuple[int, int], stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start the interpreter; until it is ready for an interrupt, it gets none."""
    import signal
    import subprocess

    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, *_options(), _child.__file__, *map(str, passed)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=passed,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def greeting(segments: list[Buffer]) -> list[Buffer]:
    """What the child reads first: where to import from, then the set-up frame."""
    path = [str(os.fsdecode(entry)) for entry in sys.path]  # some put in what is no plain str
    world = marshal.dumps((path, [str(argument) for argument in sys.argv]))
    frame = _protocol.pack(Frame(_protocol.SETUP, 0, segments))
    return [len(world).to_bytes(8, "little") + world, *frame]


def _options() -> list[str]:
    """The interpreter options of this process that the child has to share."""
    options = ["-P"]  # the folder of the child's program is nothing to import from
    if sys.flags.isolated:
        options.append("-I")
    elif sys.flags.ignore_environment:
        options.append("-E")
    if sys.flags.no_site:
        options.append("-S")
    if sys.flags.optimize:
        options.append("-" + "O" * sys.flags.optimize)
    return options + [f"-W{option}" for option in sys.warnoptions]


def _end_of(popen: subprocess.Popen[bytes]) -> tuple[int, IO[bytes] | None]:
    """Return a descriptor that becomes readable when the process has ended, and its other end."""
    if sys.platform == "linux":
        with suppress(OSError):  # an old kernel, or a sandbox that forbids it
            return os.pidfd_open(popen.pid), None
    import threading

    readable, writable = os.pipe()
    ending = open(writable, "wb", buffering=0)  # noqa: SIM115 - closed by the thread

    def wait() -> None:
        popen.wait()
        ending.close()

    threading.Thread(target=wait, name=f"mt-aio-wait-{popen.pid}", daemon=True).start()
    return readable, ending
