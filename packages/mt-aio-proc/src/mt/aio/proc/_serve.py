"""The child's side of the conversation: read a message, handle it, answer; until the end.

The main thread does all of it, so a handler may use whatever insists on the main thread. An
interrupt (Ctrl-C reaches the whole group of processes in a terminal) goes to the handler if one is
running; otherwise it is reported and ignored. It must never hit while a frame is half read or half
written: that is why the signal handler raises only inside `_wait` and the user's handler.
"""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from types import FrameType
from typing import Any

from mt.aio.proc import _protocol as protocol
from mt.aio.proc._pickling import dumps, loads
from mt.aio.proc._protocol import Buffer, Frame


class Channel:
    """The descriptor to the parent, read and written in whole frames; both block."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._parser = protocol.Parser()
        self._poll = select.poll()
        self._hang_up = getattr(select, "POLLRDHUP", 0)  # Linux; elsewhere it is read as the end
        self._poll.register(descriptor, select.POLLIN | self._hang_up)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is something to read; False if the parent has ended the conversation.

        What it had sent before that and is not handled yet is not wanted any more.
        """
        return not any(event & self._hang_up for _, event in self._poll.poll(timeout))

    def read(self) -> list[Frame] | None:
        """Read once; return the frames that are complete now, None at the parent's end."""
        wanted = self._parser.wanted()
        if wanted is not None:
            count = os.readv(self.descriptor, [wanted])
            return self._parser.filled(count) if count else None
        data = os.read(self.descriptor, protocol.LARGE)
        return self._parser.feed(data) if data else None

    def write(self, kind: int, number: int, segments: list[Buffer]) -> None:
        """Write a frame, all of it."""
        for buffer in protocol.pack(Frame(kind, number, segments)):
            rest = memoryview(buffer)
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]


class Interrupts:
    """SIGINT, let through only where it does no harm; elsewhere remembered."""

    def __init__(self) -> None:
        self.open = False
        self.seen = False
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._arrived)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked while starting

    def _arrived(self, _signum: int, _frame: FrameType | None) -> None:
        if self.open:
            self.open = False
            raise KeyboardInterrupt
        self.seen = True


def serve(descriptor: int) -> None:
    """Hold the conversation, from the set-up frame to the end."""
    try:
        _converse(descriptor)
    finally:
        os.close(descriptor)  # a thread of the user's may keep the process; the parent is told


def _converse(descriptor: int) -> None:
    channel, interrupts = Channel(descriptor), Interrupts()
    _line_buffer()
    frames = _next_frames(channel, interrupts)
    if frames is None:
        return
    try:
        instance = loads(frames.pop(0).segments)
    except BaseException as exc:  # noqa: BLE001 - whatever it is, the parent is told
        channel.write(protocol.FAILED, 0, dumps(_explain(exc)))
        sys.exit(1)
    channel.write(protocol.READY, 0, [])
    while frames is not None:
        for position, frame in enumerate(frames):
            if position and not channel.wait(0):
                return
            _answer(channel, interrupts, instance, frame)
        frames = _next_frames(channel, interrupts)


def _next_frames(channel: Channel, interrupts: Interrupts) -> list[Frame] | None:
    """Wait for the next frames, reporting interrupts meanwhile."""
    while True:
        try:
            interrupts.open = True
            if not interrupts.seen and not channel.wait():
                return None
            interrupts.open = False
        except KeyboardInterrupt:
            interrupts.seen = True
        if interrupts.seen:
            interrupts.seen = False
            channel.write(protocol.IGNORED, 0, dumps(KeyboardInterrupt()))
            continue
        try:
            frames = channel.read()
        except ConnectionResetError:  # the parent died with our frames unread
            return None
        if frames != []:
            return frames


def _answer(channel: Channel, interrupts: Interrupts, instance: Any, frame: Frame) -> None:
    """Handle one message and write its reply."""
    try:
        message = loads(frame.segments)
        interrupts.open = True
        result = instance.child_handle_message(message)
        interrupts.open = False
        kind, segments = protocol.RETURNED, _reply(result)
    except SystemExit:
        raise  # the handler wants the process to end; the parent sees how it did
    except BaseException as exc:  # noqa: BLE001 - whatever it is, the caller is told
        interrupts.open = False
        kind, segments = protocol.RAISED, dumps(_explain(exc))
    _flush()
    channel.write(kind, frame.number, segments)


def _reply(result: object) -> list[Buffer]:
    try:
        return dumps(result)
    except Exception as exc:
        raise TypeError(
            f"the reply, of type {type(result).__qualname__}, cannot be pickled: {exc}"
        ) from exc


def _explain(exc: BaseException) -> tuple[bytes | None, str, list[str]]:
    """Give an exception to the parent: its pickle if there is one, its text, its call stack."""
    import traceback

    lines = traceback.format_exception(exc)
    try:
        pickled = bytes(dumps(exc, in_band=True)[0])
    except Exception:  # noqa: BLE001 - the text has to do
        pickled = None
    return pickled, "".join(traceback.format_exception_only(exc)).strip(), lines


def _line_buffer() -> None:
    """Have printed lines leave at once, whatever they are made of."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _flush() -> None:
    """Have everything printed so far on its way before the reply is."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112 - the user closed or replaced it; so be it
            continue
    if (ctypes := sys.modules.get("ctypes")) is not None:
        ctypes.pythonapi.fflush(None)  # what C code has printed through stdio
