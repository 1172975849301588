"""Starting a child: a fork of the nursery or a fresh interpreter, never a fork of this process."""

from __future__ import annotations

import marshal
import os
import struct
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mt.aio.proc import _child, _protocol, _zygote
from mt.aio.proc._frames import Buffer, Frame
from mt.aio.proc._handle import Forked, Own

if TYPE_CHECKING:
    import socket
    import subprocess
    import threading

    from mt.aio.proc._handle import Handle
    from mt.aio.proc._line import Listener
    from mt.aio.proc._relay import Relay


AHEAD: list[str] = []  # folders that children import from before all others
_HEADER = struct.Struct("<4sIII")  # of a file with byte code: its magic, flags, time and size


class _Ends:
    """One side's ends of what connects a child and its parent. A NamedTuple takes long to make."""

    def __init__(
        self, channel: socket.socket, aside: socket.socket, lifeline: int, stdout: int, stderr: int
    ) -> None:
        self.channel = channel
        self.aside = aside
        self.lifeline = lifeline
        self.stdout = stdout
        self.stderr = stderr


class Child:
    """A started child and the parent's ends."""

    def __init__(self, process: Handle, ends: _Ends) -> None:
        self.process = process
        self.channel, self.aside = ends.channel, ends.aside
        self.lifeline, self.stdout, self.stderr = ends.lifeline, ends.stdout, ends.stderr

    def close(self) -> None:
        """Close the parent's ends."""
        self.process.close()
        self._close_ends()

    def discard(self) -> None:
        """Kill it and close the parent's ends, as there is nobody to drive it."""
        self.process.kill()
        self.close()

    def disown(self) -> None:
        """Close everything in a fork of the parent, which must not keep any end open."""
        self.process.disown()
        self._close_ends()

    def _close_ends(self) -> None:
        self.channel.close()
        self.aside.close()
        for descriptor in (self.lifeline, self.stdout, self.stderr):
            os.close(descriptor)


def launch(
    setup: list[Buffer], forward: tuple[str, ...], lock: threading.RLock, listener: Listener
) -> Relay:
    """Start a child, then import what drives it, as far as it is not: the child comes up meanwhile.

    Args:
        setup: the pickled instance that handles the messages.
        forward: what else the child is told; see `_forward.check`.
        lock: the lock under which the listener is called.
        listener: who hears what the child says.
    """
    hello = greeting(setup, forward)  # before anything is started
    child = start()
    try:
        from mt.aio.proc._relay import Relay

        return Relay(child, hello, lock, listener)
    except BaseException:  # a Ctrl-C
        child.discard()
        raise


def start() -> Child:
    """Start an interpreter that waits for its set-up. On error, nothing is left.

    Raises:
        NotImplementedError: on Windows, which lacks what the channel is made of.
        RuntimeError: nobody knows which interpreter to start (in an embedded or frozen Python).
        OSError: the system refuses.
    """
    if sys.platform == "win32":
        raise NotImplementedError("BgProcess needs a POSIX system; on Windows, use it inside WSL")
    if not sys.executable:
        raise RuntimeError("sys.executable is empty: set it to the interpreter to be started")
    if getattr(sys, "frozen", False):  # the program would start itself, which would start itself
        raise RuntimeError("a frozen program has no interpreter to start a child with")
    with ExitStack() as ours, ExitStack() as theirs:
        channel, their_channel = _pair(ours, theirs)
        aside, their_aside = _pair(ours, theirs)
        their_lifeline, lifeline = _pipe(theirs, ours)
        stdout, their_stdout = _pipe(ours, theirs)
        stderr, their_stderr = _pipe(ours, theirs)
        ends = _Ends(their_channel, their_aside, their_lifeline, their_stdout, their_stderr)
        process = (_fork(ours, ends, lifeline) if _zygote.possible() else None) or _fresh(
            ours, ends
        )
        channel.setblocking(False)
        aside.setblocking(False)
        os.set_blocking(stdout, False)
        os.set_blocking(stderr, False)
        child = Child(process, _Ends(channel, aside, lifeline, stdout, stderr))
        ours.pop_all()
    return child


def _fork(ours: ExitStack, ends: _Ends, lifeline: int) -> Handle | None:
    """Have the nursery fork a child; None if it cannot."""
    import socket

    def begin() -> _zygote.Nursery:
        return _zygote.Nursery(_popen_one, ends.stdout, ends.stderr, _world())

    with ExitStack() as stack:
        report, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        stack.enter_context(theirs)
        ours.enter_context(report)
        report.setblocking(False)
        folder = os.open(".", os.O_PATH)
        stack.callback(os.close, folder)
        descriptors = [ends.channel.fileno(), ends.aside.fileno(), ends.lifeline]
        descriptors += [ends.stdout, ends.stderr, folder, theirs.fileno(), lifeline]
        nursery = _zygote.ask(descriptors, begin)
    if nursery is None:
        report.close()
        return None
    return Forked(report, nursery.popen)


def _fresh(ours: ExitStack, ends: _Ends) -> Handle:
    """Start an interpreter for this child alone."""
    passed = (ends.channel.fileno(), ends.aside.fileno(), ends.lifeline)
    popen = _popen(passed, ends.stdout, ends.stderr)
    ours.callback(popen.wait)
    ours.callback(popen.kill)
    return Own(popen)


def _pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    import socket

    our_end, their_end = socket.socketpair()
    ours.enter_context(our_end)
    theirs.enter_context(their_end)
    return our_end, their_end


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Make a pipe whose ends are closed with what they are entered in."""
    readable, writable = os.pipe()
    reader.callback(os.close, readable)
    writer.callback(os.close, writable)
    return readable, writable


def _popen_one(passed: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    return _popen((passed,), stdout, stderr)


def _popen(passed: tuple[int, ...], stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start the interpreter; until it is ready for an interrupt, it gets none."""
    import signal
    import subprocess

    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, *_options(), *_program(), *map(str, passed)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=passed,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _program() -> list[str]:
    """The child's program: a file, or what imports it from the archive that we are in."""
    path = _child.__file__
    if os.path.isfile(path):
        return [_compiled(path) or path]
    archive = path[: -len(_child.__name__) - len(".py")].rstrip(os.sep)
    code = f"import sys; sys.path[:0] = [{archive!r}]; from {_child.__name__} import main; main()"
    return ["-c", code]


def _compiled(path: str) -> str | None:
    """Give the file with the byte code of a module, if it is that of the source as it is now.

    The interpreter would compile the source of a program each time.
    """
    from importlib._bootstrap_external import (
        MAGIC_NUMBER,  # as in `importlib.util`, which takes longer to import than this saves
    )

    cached = getattr(_child.__spec__, "cached", None)
    if cached is None:
        return None
    try:
        source = os.stat(path)
        with open(cached, "rb") as file:
            header = file.read(_HEADER.size)
    except OSError:
        return None
    flags, size = 0, source.st_size & 0xFFFFFFFF
    valid = _HEADER.pack(MAGIC_NUMBER, flags, int(source.st_mtime) & 0xFFFFFFFF, size)
    return str(cached) if header == valid else None


def greeting(segments: list[Buffer], forward: tuple[str, ...] = ()) -> list[Buffer]:
    """What the child reads first: this process's world, then the set-up frame."""
    frame = _protocol.pack(Frame(_protocol.SETUP, 0, segments))
    return [_world(forward), *frame]


def _world(forward: tuple[str, ...] = ()) -> bytes:
    """Where to import from, and what else a child takes over from this process as it is now."""
    world = {
        "path": AHEAD + [str(os.fsdecode(entry)) for entry in sys.path],  # some are no plain str
        "argv": [str(argument) for argument in sys.argv],
        "environ": {bytes(name): bytes(value) for name, value in os.environb.items()},
        "forward": forward,
    }
    data = marshal.dumps(world)
    return len(data).to_bytes(8, "little") + data


def _options() -> list[str]:
    """The interpreter options of this process that the child has to share."""
    options = ["-P"]  # the folder of the child's program is nothing to import from
    if sys.flags.isolated:
        options.append("-I")
    elif sys.flags.ignore_environment:
        options.append("-E")
    if sys.flags.no_site:
        options.append("-S")
    for letter, times in (("O", sys.flags.optimize), ("b", sys.flags.bytes_warning)):
        if times:
            options.append("-" + letter * times)
    if sys.dont_write_bytecode:
        options.append("-B")
    for name, wanted in (("utf8", sys.flags.utf8_mode), ("dev", sys.flags.dev_mode)):
        if wanted:
            options += ["-X", name]
    return options + [f"-W{option}" for option in sys.warnoptions]
