"""What a child prints: bytes from its two pipes, made into text and lines."""

from __future__ import annotations

import os
from codecs import getincrementaldecoder
from collections import deque

_PIECE = 1 << 16
_MOST = 1 << 20  # bytes; more than a pipe holds, so one `read` gets all that was printed before it
_LONG = 1 << 16  # characters; arbitrary: a line that long is passed on before it ends
KEPT = 20  # lines remembered for a post-mortem; arbitrary


class Stream:
    """One of the child's output streams, seen from the parent."""

    def __init__(self, name: str, descriptor: int, last: deque[str]) -> None:
        self.name = name
        self.descriptor = descriptor
        self.ended = False
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._last = last
        self._text = ""

    def read(self) -> bool:
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
        self._last.extend(taken.splitlines()[-KEPT:])
        return taken
