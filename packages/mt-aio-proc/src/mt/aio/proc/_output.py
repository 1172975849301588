"""What a child prints: bytes from its two pipes, made into text and lines."""

from __future__ import annotations

import os
import select
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable, Iterator

_PIECE = 1 << 16
_MOST = 1 << 20  # bytes; more than a pipe holds, so one `read` gets all that was printed before it
_LONG = 1 << 16  # characters; arbitrary: a line that long is passed on before it ends
KEPT = 20  # lines remembered for a post-mortem; arbitrary
_WIDE = 1000  # characters of each; arbitrary


class Stream:
    """One of the child's output streams, seen from the parent."""

    def __init__(self, name: str, descriptor: int, last: deque[str]) -> None:
        self.name = name
        self.descriptor = descriptor
        self.ended = False
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._last = last
        self._text = ""

    def read(self, *, last: bool) -> bool:
        """Read what there is, without waiting; False if no more will come."""
        data = bytearray()
        while len(data) < _MOST:
            try:
                piece = os.read(self.descriptor, _PIECE)
            except BlockingIOError:
                break
            if not piece:
                self.ended = True
                break
            data += piece
            if len(piece) < _PIECE and not last:  # that was all, when it was read
                break
        if data or self.ended:
            self._text += self._decoder.decode(bytes(data), self.ended)
        return not self.ended

    def take(self, *, unfinished: bool) -> str:
        """Return the text read so far: its complete lines, or also the line that has no end yet."""
        if not self._text:
            return ""
        end = len(self._text)
        if not (unfinished or self.ended):
            end = self._text.rfind("\n") + 1 or (end if end > _LONG else 0)
        taken, self._text = self._text[:end], self._text[end:]
        self._last.extend(line[-_WIDE:] for line in taken.splitlines()[-KEPT:])
        return taken


class Output:
    """Both streams."""

    def __init__(self, stdout: int, stderr: int) -> None:
        self.last: deque[str] = deque(maxlen=KEPT)
        self._streams = [Stream("stdout", stdout, self.last), Stream("stderr", stderr, self.last)]
        self._begun = False  # a line has begun that has no end yet
        self._poll = select.poll()
        for stream in self._streams:
            self._poll.register(stream.descriptor, select.POLLIN)

    def take(
        self, ended: Callable[[int], None], *, unfinished: bool, last: bool = False
    ) -> Iterator[tuple[str, str]]:
        """Give what was printed, by stream; mostly nothing, which is found out quickly.

        Args:
            ended: called with the descriptor of a stream that has ended.
            unfinished: take the line that has no end yet, too.
            last: read until nothing more can come.
        """
        if not (self._poll.poll(0) or (unfinished and self._begun) or last):
            return
        for stream in self._streams:
            if not (stream.ended or stream.read(last=last)):
                self._poll.unregister(stream.descriptor)
                ended(stream.descriptor)
        for stream in self._streams:
            if text := stream.take(unfinished=unfinished):
                yield stream.name, text
        self._begun = not unfinished
