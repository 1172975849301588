"""Chunks, blocks and selections as plain numbers: no HDF5, no array."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

Box = tuple[slice, ...]
Origin = tuple[int, ...]


class Span(NamedTuple):
    """What is selected along one axis: `length` indices from `start` on, `step` apart.

    `single` tells that it was a number, not a slice, so that the result lacks the axis.
    """

    start: int
    length: int
    step: int
    single: bool


class Piece(NamedTuple):
    """The part of a span that lies in one chunk, counted in the chunk and in the result."""

    origin: int
    inside: slice
    outside: slice


def spans_of(selection: Any, shape: Sequence[int]) -> list[Span] | None:
    """Read a selection of numbers, slices and `...`.

    Returns:
        A span for each axis; None if it is anything else (lists, masks, names of fields, steps
        backwards, indices out of range), which is HDF5's own business.
    """
    parts = list(selection) if isinstance(selection, tuple) else [selection]
    dots = [at for at, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1 or len(parts) - len(dots) > len(shape):
        return None
    at = dots[0] if dots else len(parts)
    parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + len(dots))
    spans = [_span_of(part, size) for part, size in zip(parts, shape, strict=True)]
    return None if None in spans else [span for span in spans if span is not None]


def _span_of(part: Any, size: int) -> Span | None:
    if isinstance(part, slice):
        try:
            start, stop, step = part.indices(size)
        except (TypeError, ValueError):
            return None
        return Span(start, len(range(start, stop, step)), step, single=False) if step > 0 else None
    if isinstance(part, bool):
        return None
    try:
        index = operator.index(part)
    except TypeError:
        return None
    index += size if index < 0 else 0
    return Span(index, 1, 1, single=True) if 0 <= index < size else None


def pieces(span: Span, chunk: int) -> list[Piece]:
    """Cut a span at the borders of chunks of this length."""
    found = []
    index = 0
    while index < span.length:
        at = span.start + index * span.step
        offset = at % chunk
        count = min(span.length - index, (chunk - 1 - offset) // span.step + 1)
        inside = slice(offset, offset + (count - 1) * span.step + 1, span.step)
        found.append(Piece(at - offset, inside, slice(index, index + count)))
        index += count
    return found


def origins(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[Origin]:
    """Give the first index of each chunk, the last axis running fastest."""
    return product(*(range(0, size, chunk) for size, chunk in zip(shape, chunks, strict=True)))


def blocks(shape: Sequence[int], grain: Sequence[int], itemsize: int, target: int) -> Iterator[Box]:
    """Cut an array into boxes of at most `target` bytes, or of one grain if that is larger.

    A box consists of whole grains (chunks), and of as many along the last axes as it can.
    """
    size = [min(grain[axis], shape[axis]) for axis in range(len(shape))]
    for axis in reversed(range(len(shape))):
        room = target // max(1, prod(size) * itemsize)
        size[axis] = min(shape[axis], size[axis] * max(1, room))
        if size[axis] < shape[axis]:
            break
    for origin in origins(shape, [max(1, n) for n in size]):
        yield tuple(
            slice(at, min(at + n, end)) for at, n, end in zip(origin, size, shape, strict=True)
        )
