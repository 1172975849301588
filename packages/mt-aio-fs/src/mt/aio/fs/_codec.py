"""JSON in pieces, so that a large object does not keep other threads away.

The codec of the standard library holds the interpreter lock (GIL) for as long as a call of it
takes, also in a worker thread: an event loop stands still meanwhile. So it is given a piece at a
time here, and other threads get their turn between two. The result is that of one call, to the
byte; whatever is not sure to come out so is left to one call.

Cutting a text needs no parser of its own. Where a container's member begins is known; a later place
that looks like the end of a member (it reads as the end of the first one did) is tried: if what
lies between parses as the inside of a container, the place was one, as JSON is read from left to
right and nothing to the right of it can matter. If not, a member is read alone, and after a few
failures the rest of the container in one piece.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# How many characters a piece should have: about a millisecond's work. This and what follows is
# arbitrary.
_PIECE = 2**16
_MOST_ITEMS = 2**12
_DEPTH = 4  # containers in containers that are cut; what lies deeper is taken whole
_FAILURES = 3
_ALIKE = 32

# The options of json.dumps that mean the same to a part of an object as to the whole.
_PARTWISE = {
    *("skipkeys", "ensure_ascii", "check_circular", "allow_nan", "separators", "default"),
    "sort_keys",
}

_blank = re.compile(r"[ \t\n\r]*").match


def dump(obj: Any, options: dict[str, Any]) -> bytes:
    """Give what `json.dumps(obj, **options).encode()` does.

    Args:
        obj: the object
        options: of `json.dumps`; not all of them allow the work to be cut
    """
    if not options.keys() <= _PARTWISE:
        return json.dumps(obj, **options).encode()
    encoder = json.JSONEncoder(**options)
    # Joined as bytes, which lets other threads run where it takes long.
    return b"".join([piece.encode() for piece in _pieces(obj, encoder, 0)])


def _pieces(obj: Any, encoder: json.JSONEncoder, depth: int) -> Iterator[str]:
    """Give the text of an object in pieces."""
    if type(obj) not in {list, tuple, dict} or not obj or depth == _DEPTH:
        yield encoder.encode(obj)  # a subclass may have its own idea of its members
        return
    mapping = isinstance(obj, dict)
    if mapping and encoder.sort_keys:
        obj = dict(sorted(obj.items()))
    members = iter(obj.items() if mapping else obj)
    comma, size = "", 1
    yield "{" if mapping else "["
    while some := list(islice(members, size)):
        if size > 1:
            text = encoder.encode(dict(some) if mapping else some)[1:-1]
            parts: Iterable[str] = (text,) if text else ()  # all keys may have been skipped
        else:
            parts = _member(some[0], encoder, depth, mapping=mapping)
        length = 0
        for part in parts:
            if not length:
                yield comma
                comma = encoder.item_separator
            yield part
            length += len(part)
        size = max(1, min(2 * size, size * _PIECE // max(length, 1), _MOST_ITEMS))
    yield "}" if mapping else "]"


def _member(member: Any, encoder: json.JSONEncoder, depth: int, *, mapping: bool) -> Iterator[str]:
    """Give the text of one member in pieces, none if its key is skipped."""
    if not mapping:
        yield from _pieces(member, encoder, depth + 1)
        return
    key, value = member
    text = encoder.encode({key: None})[1:-1]
    if text:
        yield text.removesuffix("null")
        yield from _pieces(value, encoder, depth + 1)


def load(text: str, options: dict[str, Any]) -> Any:
    """Give what `json.loads(text, **options)` does.

    Args:
        text: the JSON text
        options: of `json.loads`; any of them makes it one call
    """
    if not options and len(text) > _PIECE:
        try:
            value, end = _Reader(text).value(_skip(text, 0), 0)
        except (json.JSONDecodeError, IndexError):
            pass  # one call says what is wrong, and where
        else:
            if _skip(text, end) == len(text):
                return value
    return json.loads(text, **options)


def _skip(text: str, start: int) -> int:
    """Give the index of the first character that is no blank."""
    return _blank(text, start).end()  # type: ignore[union-attr]  # it matches nothing, too


class _Reader:
    """Reads the values of a text; an index that is given is that of a value's first character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.decode = json.JSONDecoder().raw_decode

    def value(self, start: int, depth: int) -> tuple[Any, int]:
        """Read a value; give it and the index after it."""
        text = self.text
        if text[start] not in "[{" or depth == _DEPTH:
            return self.decode(text, start)
        try:
            value, length = self.decode(text[start : start + _PIECE])
        except json.JSONDecodeError:  # too large, unless it is wrong
            return self.container(start, depth)
        return value, start + length

    def container(self, start: int, depth: int) -> tuple[Any, int]:
        """Read a large array or object: a member alone, then as many at a time as make a piece."""
        text, opening = self.text, self.text[start]
        closing = "]" if opening == "[" else "}"
        result: Any = [] if opening == "[" else {}
        add = result.extend if opening == "[" else result.update
        position, failures = _skip(text, start + 1), 0
        while True:
            members, end = self.member(position, depth, opening)
            add(members)
            comma = _skip(text, end)
            if text[comma] == closing:
                return result, comma + 1
            following = self.after(comma)
            mark = _mark(text, position, end, following)
            position = following
            while (cut := text.find(mark, position + _PIECE, position + 4 * _PIECE)) >= 0:
                piece = f"{opening}{text[position : cut + 1]}{closing}"
                try:
                    members, length = self.decode(piece)
                except json.JSONDecodeError:  # not the end of a member
                    failures += 1
                    break
                add(members)
                if length < len(piece):  # the container has ended before
                    return result, position + length - 1
                position = self.after(_skip(text, cut + 1))
            if failures > _FAILURES:
                members, length = self.decode(opening + text[position:])
                add(members)
                return result, position + length - 1

    def member(self, start: int, depth: int, opening: str) -> tuple[Any, int]:
        """Read one member; give what it adds to the container, and the index after it."""
        if opening == "[":
            value, end = self.value(start, depth + 1)
            return [value], end
        key, end = self.decode(self.text, start)
        colon = _skip(self.text, end)
        if not isinstance(key, str) or self.text[colon] != ":":
            raise json.JSONDecodeError("no member of an object", self.text, start)
        value, end = self.value(_skip(self.text, colon + 1), depth + 1)
        return {key: value}, end

    def after(self, comma: int) -> int:
        """Give the index of the member after a comma."""
        if self.text[comma] != ",":
            raise json.JSONDecodeError("no comma", self.text, comma)
        return _skip(self.text, comma + 1)


def _mark(text: str, start: int, end: int, following: int) -> str:
    """Say how the border between two members reads: the last character of one to the next's start.

    The more the two begin alike, the surer is the mark.
    """
    alike = 0
    while alike < _ALIKE and text[start + alike] == text[following + alike : following + alike + 1]:
        alike += 1
    return text[end - 1 : following + alike]
