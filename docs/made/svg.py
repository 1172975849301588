"""Drawings made of boxes, arrows and text, in the colours of the page around them."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import hypot

INK, RULE, FILL = "var(--ink)", "var(--rule)", "var(--fill)"


def figure(width: float, height: float, parts: Iterable[str], title: str) -> str:
    """Put a drawing into a page; who does not see it gets the title."""
    return (
        f'<figure class="mt-figure"><svg xmlns="http://www.w3.org/2000/svg" class="mt-chart" '
        f'role="img" viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="12" '
        f'fill="{INK}"><title>{escape(title)}</title>{"".join(parts)}</svg></figure>'
    )


def text(x: float, y: float, words: str, *, anchor: str = "middle", more: str = "") -> str:
    """Write a line, with its base line at y."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, lines: Iterable[str]) -> str:
    """Draw a box with a name in it, and smaller lines below the name."""
    lines = list(lines)
    top = y + height / 2 - 7 * (len(lines) - 1) + 4
    frame = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4"'
    drawn = [f'<rect {frame} fill="{FILL}" stroke="{RULE}"/>']
    for number, line in enumerate(lines):
        more = 'font-weight="600"' if number == 0 else 'font-size="10"'
        drawn.append(text(x + width / 2, top + 14 * number, line, more=more))
    return "".join(drawn)


def line(points: Iterable[tuple[float, float]], *, dashed: bool = False) -> str:
    """Draw a line through some points."""
    path = "L".join(f"{x:g} {y:g}" for x, y in points)
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<path d="M{path}" stroke="{INK}" fill="none"{dashes}/>'


def arrow(*points: tuple[float, float], dashed: bool = False) -> str:
    """Draw a line that ends with a head."""
    (fromx, fromy), (x, y) = points[-2:]
    length = hypot(x - fromx, y - fromy) or 1
    dx, dy = 7 * (x - fromx) / length, 7 * (y - fromy) / length
    head = (
        f"M{x:g} {y:g}L{x - dx + dy / 2:.1f} {y - dy - dx / 2:.1f}"
        f"L{x - dx - dy / 2:.1f} {y - dy + dx / 2:.1f}Z"
    )
    return line(points, dashed=dashed) + f'<path d="{head}"/>'
