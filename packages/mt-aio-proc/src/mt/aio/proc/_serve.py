"""The child's side of the conversation: read a message, handle it, answer; until the end.

The main thread does all of it, so a handler may use whatever insists on the main thread. An
interrupt (Ctrl-C reaches the whole group of processes in a terminal) goes to the handler if one is
running; otherwise it is reported and ignored. It must never hit while a frame is half read or half
written: that is why the signal handler raises only inside the user's handler, and reports by
itself only while the child waits for a frame, when nothing is being written.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # `signal` imports enum: slow
import select
import sys
from _thread import get_ident

from mt.aio.proc import _frames as frames
from mt.aio.proc._channel import Channel
from mt.aio.proc._pickling import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

    from mt.aio.proc._frames import Buffer, Frame

DOOMED = (
    5000  # milliseconds for the nursery, which may be stopped, to end after the parent; arbitrary
)


class Interrupts:
    """SIGINT, let through only where it does no harm; elsewhere remembered."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.open = False  # the user's handler runs: it gets a KeyboardInterrupt
        self._idle = False  # nothing is half read or half written
        self._seen = False
        self._thread = get_ident()
        self._tell = tell
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._arrived)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked while starting

    def idle(self) -> None:
        """Until `busy`, an interrupt is reported when it comes; so is one that came before."""
        self._idle = True
        if self._seen:
            self._seen = False
            self._tell()

    def busy(self) -> None:
        """An interrupt is remembered."""
        self._idle = False

    def hold_back(self) -> bool:
        """Have the handler of this thread, if it runs one, get no interrupt until `let_through`.

        Returns:
            Whether it runs one. Signals concern the main thread alone, and so do handlers.
        """
        if not self.open or get_ident() != self._thread:
            return False
        self.open = False
        return True

    def let_through(self) -> None:
        """Let the handler have interrupts again, beginning with one that came meanwhile."""
        self.open = True
        if self._seen:
            self.open = self._seen = False
            raise KeyboardInterrupt

    def _arrived(self, _signum: int, _frame: FrameType | None) -> None:
        if self.open:
            self.open = False
            raise KeyboardInterrupt
        if self._idle:
            self._tell()
        else:
            self._seen = True


class Conversation:
    """The child's part: what has been read and is not handled yet, and how it is handled."""

    def __init__(self, descriptor: int, aside: int) -> None:
        self._channel = Channel(descriptor, aside)
        self._interrupts = Interrupts(self._interrupted)
        self._waiting: list[Frame] = []  # the next one is the last
        self._instance: Any = None
        self._carries = False  # context variables come with each message
        self._call: Callable[..., Any] = _call
        self._credit = 0
        self._stopped = False

    def hold(self, world: dict[str, Any]) -> None:
        """Hold it from the set-up frame to the end."""
        if not self._more():
            return
        try:
            forward = world["forward"]
            self._carries = any(":" in name for name in forward)
            _forward(forward, self._tell)
            self._instance = loads(self._waiting.pop().segments)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the parent is told
            self._channel.write(frames.FAILED, 0, dumps(_explain(exc)))
            sys.exit(1)
        self._channel.write(frames.READY, 0, [])
        while self._waiting or self._more():
            if self._channel.hung_up():
                return
            frame = self._waiting.pop()
            if frame.kind == frames.MESSAGE:
                self._answer(frame)
            elif frame.kind == frames.STREAM:
                self._stream(frame)
            # Else it belongs to a stream that has ended.

    def _more(self) -> bool:
        """Wait for the next frames; False if there will be none."""
        while not self._waiting:
            self._interrupts.idle()
            try:
                read = self._channel.read()
            except ConnectionResetError:  # the parent died with our frames unread
                return False
            finally:
                self._interrupts.busy()
            if read is None:
                return False
            read.reverse()
            self._waiting = read
        return True

    def _answer(self, frame: Frame) -> None:
        """Handle one message and write its reply."""
        try:
            message = self._message(frame)
            self._interrupts.open = True
            result = self._call(self._instance.child_handle_message, message)
            self._interrupts.open = False
            kind, segments = frames.RETURNED, _reply(result)
            message = result = None
        except SystemExit:
            raise  # the handler wants the process to end; the parent sees how it did
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the caller is told
            self._interrupts.open = False
            kind, segments = frames.RAISED, dumps(_explain(exc))
            message = None
        _flush()
        self._channel.write(kind, frame.number, segments)

    def _message(self, frame: Frame) -> Any:
        """Unpickle a message, and see to its context."""
        message = loads(frame.segments)
        frame.segments = ()  # or it would hold on to shared memory
        if self._carries:
            from mt.aio.proc._forward import context

            given, message = message
            self._call = context(given).run
        return message

    def _stream(self, frame: Frame) -> None:
        """Handle a message whose reply comes in parts, no more than the parent has asked for."""
        self._stopped = False
        try:
            self._credit, message = self._message(frame)
            for segments in self._parts(message):
                _flush()
                self._channel.write(frames.PART, frame.number, segments)
                self._credit -= 1
                if not self._may_go_on(frame.number):
                    break
            kind, segments = frames.RETURNED, dumps(None)
        except SystemExit:
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the caller is told
            self._interrupts.open = False
            kind, segments = frames.RAISED, dumps(_explain(exc))
        _flush()
        self._channel.write(kind, frame.number, segments)

    def _parts(self, message: object) -> Iterator[list[Buffer]]:
        """Give the parts of a reply, pickled; a reply that is no iterator is the only part."""
        interrupts = self._interrupts
        interrupts.open = True
        result = self._call(self._instance.child_handle_message, message)
        interrupts.open = False
        if not hasattr(result, "__next__"):
            yield _reply(result)
            return
        try:
            while True:
                interrupts.open = True
                try:
                    part = self._call(next, result)
                except StopIteration:
                    return
                finally:
                    interrupts.open = False
                yield _reply(part)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _may_go_on(self, number: int) -> bool:
        """Wait until the parent wants another part; False if it wants no more at all."""
        while True:
            for frame in [f for f in self._waiting if f.number == number]:
                self._waiting.remove(frame)
                self._stopped = self._stopped or frame.kind == frames.STOP
                self._credit += frame.kind == frames.MORE
            if self._stopped:
                return False
            if self._credit > 0:
                return not self._channel.hung_up() or sys.exit(0)
            others, self._waiting = self._waiting, []
            try:
                if not self._more():
                    sys.exit(0)
            finally:
                self._waiting += others

    def _interrupted(self) -> None:
        self._channel.write(frames.IGNORED, 0, dumps(KeyboardInterrupt()))

    def end(self) -> None:
        """Hang up: a thread of the user's may keep the process, and the parent is told."""
        self._channel.close()

    def _tell(self, what: object) -> None:
        """Tell the parent of something, as long as it listens; called in any thread, anywhere."""
        told = dumps(what)
        handling = self._interrupts.hold_back()
        try:
            self._channel.write(frames.TOLD, 0, told)
        except OSError:  # the conversation is over
            return
        finally:
            if handling:
                self._interrupts.let_through()


def serve(descriptor: int, aside: int, world: dict[str, Any]) -> None:
    """Hold the conversation, from the set-up frame to the end."""
    _line_buffer()
    conversation = Conversation(descriptor, aside)
    try:
        conversation.hold(world)
    finally:
        _let_the_nursery_see(descriptor)
        conversation.end()


def _let_the_nursery_see(descriptor: int) -> None:
    """If the parent is gone, wait to be killed.

    Were this process to end by itself, the nursery could not find its children any more, which it
    is about to tell.
    """
    poll = select.poll()
    poll.register(descriptor, 0)
    if any(event & select.POLLHUP for _, event in poll.poll(0)):
        poll.unregister(descriptor)
        poll.poll(DOOMED)


def _call(func: Callable[..., Any], *args: Any) -> Any:
    return func(*args)


def _reply(result: object) -> list[Buffer]:
    if hasattr(result, "__next__") and hasattr(result, "send"):
        raise TypeError("the reply is a generator: use `stream` instead of `send`")
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


def _forward(what: tuple[str, ...], tell: Callable[[object], None]) -> None:
    """Begin to forward what the parent wants to hear of."""
    if what:
        from mt.aio.proc._forward import begin

        begin(what, tell)


def _line_buffer() -> None:
    """Have printed lines leave at once, whatever they are made of."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _flush() -> None:
    """Have everything printed so far on its way before the reply is."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112 - the user closed or replaced it; so be it
            continue
    # What C code has printed through stdio. Another thread may be importing ctypes just now.
    if (library := getattr(sys.modules.get("ctypes"), "pythonapi", None)) is not None:
        library.fflush(None)
