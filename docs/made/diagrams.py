"""Drawings and tables of how mt.aio is made, taken from its metadata and from its sources."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from made.svg import arrow, box, figure, line, text

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "packages/mt-aio-proc/src/mt/aio/proc/_protocol.py"
WIDTH, GAP, BOX, STEP = 440, 12, 46, 84
IN_A_ROW = 4

Table = dict[tuple[str, str], str]

# What a write does, in this order; see mt.aio.fs.lowlevel.Replacement.
WRITE = (
    ("make a temporary file", "beside the target; nobody else may read it", "old"),
    ("write all of it", "into the temporary file", "old"),
    ("set its mode", "file_mode, or that of the old file", "old"),
    ("flush the file", 'not with durability="none"', "old"),
    ("rename it", "over the target, in one instant", "new"),
    ("flush the folder", 'with durability="full"', "new"),
)

# A conversation: who says what, and what it means. "" is neither.
TALK = (
    ("parent", "SETUP", "the instance, pickled"),
    ("child", "READY", ""),
    ("parent", "MESSAGE 1", "send(a)"),
    ("parent", "MESSAGE 2", "send(b), not waiting for the first"),
    ("child", "RETURNED 1", "the first send ends"),
    ("child", "RAISED 2", "the second one raises"),
    ("parent", "MESSAGE 3", "send(c) with a time-out"),
    ("", "", "time is over: queue.Empty, 3 is forgotten"),
    ("child", "RETURNED 3", "nobody waits for 3: dropped"),
    ("parent", "STOP", "close()"),
    ("child", "", "the socket ends: the child is gone"),
)


def members() -> dict[str, list[str]]:
    """Read what each distribution needs."""
    found = {}
    for path in sorted(ROOT.glob("packages/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        needs = [re.match(r"[\w-]+", need) for need in project.get("dependencies", [])]
        # Each once: it may have several bounds, for different Pythons.
        found[project["name"]] = list(dict.fromkeys(match[0] for match in needs if match))
    return found


def level(name: str, needs: dict[str, list[str]]) -> int:
    """Say how many steps a distribution is above the ground."""
    return max((1 + level(need, needs) for need in needs[name] if need in needs), default=0)


def direct(name: str, needs: dict[str, list[str]]) -> list[str]:
    """Give the pieces that a piece needs, without those which these need anyway."""
    own = [need for need in needs[name] if need in needs]
    return [n for n in own if not any(n in needs[other] for other in own)]


def pieces() -> str:
    """Draw the distributions, each above those that it needs."""
    needs = members()
    needs.pop("mt-aio")  # the facade needs them all, through extras
    rows = arranged(needs)
    place = {}
    for number, row in enumerate(reversed(rows)):
        for name, (x, width) in row.items():
            place[name] = (x, 70.0 + STEP * number, width)
    parts = [
        box(1, 1, WIDTH - 2, BOX, ["mt-aio", "the facade mt.aio: all names, each piece an extra"])
    ]
    for name, (x, y, width) in place.items():
        for need in direct(name, needs):
            x2, y2, width2 = place[need]
            parts.append(arrow((x + width / 2, y + BOX), (x2 + width2 / 2, y2)))
    for name, (x, y, width) in place.items():
        others = [need for need in needs[name] if need not in needs]
        parts.append(box(x, y, width, BOX, [name, ", ".join(others) or "needs nothing else"]))
    height = 70 + STEP * (len(rows) - 1) + BOX + 2
    return figure(WIDTH, height, parts, "The pieces; an arrow leads to what a piece needs")


def arranged(needs: dict[str, list[str]]) -> list[dict[str, tuple[float, float]]]:
    """Give the rows from the ground up: where each box begins, and its width.

    A piece is put as near above those that it needs as may be, so that few arrows cross.
    """
    centre = {"": 0.0}  # the ground
    rows = []
    for height in range(max(level(name, needs) for name in needs) + 1):
        names = [name for name in needs if level(name, needs) == height]
        names.sort(key=lambda name: mean(centre[n] for n in direct(name, needs) or [""]))
        for row in (names[i : i + IN_A_ROW] for i in range(0, len(names), IN_A_ROW)):
            width = min(130.0, (WIDTH - GAP * (len(row) - 1)) / len(row))
            left = (WIDTH - width * len(row) - GAP * (len(row) - 1)) / 2
            rows.append({n: (left + i * (width + GAP), width) for i, n in enumerate(row)})
            centre |= {name: x + width / 2 for name, (x, width) in rows[-1].items()}
    return rows


def write() -> str:
    """Draw the steps of a write, and what a reader finds meanwhile."""
    parts = [
        text(0, 14, "what a reader of the target finds", anchor="start", more='font-size="10"')
    ]
    top, height = 24, 34
    for number, (name, detail, content) in enumerate(WRITE):
        y = top + (height + 12) * number
        parts.append(box(120, y, WIDTH - 122, height, [f"{number + 1}. {name}", detail]))
        if number:
            parts.append(arrow((270, y - 12), (270, y)))
        first = next(i for i, step in enumerate(WRITE) if step[2] == content)
        if number == first:
            last = max(i for i, step in enumerate(WRITE) if step[2] == content)
            end = top + (height + 12) * last + height
            parts.append(line([(100, y), (100, end)]))
            parts.append(text(92, (y + end) / 2, f"the {content}", anchor="end"))
            parts.append(text(92, (y + end) / 2 + 15, "content", anchor="end"))
    bottom = top + (height + 12) * len(WRITE)
    return figure(WIDTH, bottom, parts, "The steps of a write, and what a reader finds meanwhile")


def talk() -> str:
    """Draw a conversation between parent and child."""
    left, right, top, step = 70, 370, 44, 40
    bottom = top + step * len(TALK)
    parts = [box(left - 60, 2, 120, 26, ["parent"]), box(right - 60, 2, 120, 26, ["child"])]
    parts += [line([(x, 28), (x, bottom)], dashed=True) for x in (left, right)]
    for number, (who, frame, meaning) in enumerate(TALK):
        y = top + step * number + 16
        if who == "parent":
            parts.append(arrow((left, y), (right, y)))
        elif who == "child":
            parts.append(arrow((right, y), (left, y), dashed=not frame))
        words = f"{frame}: {meaning}" if frame and meaning else frame or meaning
        parts.append(text((left + right) / 2, y - 5, words, more='font-size="11"'))
    return figure(WIDTH, bottom, parts, "A conversation between parent and child")


def table() -> Table:
    """Read the table of the protocol: (state, event) to the next state."""
    tree = ast.parse(PROTOCOL.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "TABLE":
            assert isinstance(node.value, ast.Dict)  # noqa: S101 - for mypy
            return {
                _names(ast.unparse(key)): _names(ast.unparse(value))[0]
                for key, value in zip(node.value.keys, node.value.values, strict=True)
                if key is not None
            }
    raise LookupError(f"no TABLE in {PROTOCOL}")


def _names(source: str) -> tuple[str, ...]:
    """Take the members out of `(State.READY, Event.SEND)`."""
    return tuple(re.findall(r"\.(\w+)", source))


def comments(enum: str) -> dict[str, str]:
    """Read what is said of each member of an enumeration of the protocol."""
    source = PROTOCOL.read_text(encoding="utf-8")
    body = source.partition(f"class {enum}(Enum):")[2].partition("\n\n\n")[0]
    found = re.findall(r"^    (\w+) = .*?(?:  # (.*))?$", body, re.MULTILINE)
    return dict(found)


def states() -> str:
    """Draw the states of a conversation and the events that lead from one to another."""
    found = table()
    order = list(comments("State"))
    x, width, height, step = 160, 120, 40, 96
    parts, lane = [], 0
    for name in order:
        y = 2 + step * order.index(name)
        stays = [event.lower() for (state, event), to in found.items() if state == to == name]
        parts.append(box(x, y, width, height, [name.lower(), f"stays so on {len(stays)} events"]))
    for name in order:
        for to in order:
            events = [e.lower() for (state, e), t in found.items() if (state, t) == (name, to)]
            if name == to or not events:
                continue
            y, y2 = (2 + step * order.index(n) for n in (name, to))
            if order.index(to) == order.index(name) + 1:
                middle = x + width / 2
                parts.append(arrow((middle, y + height), (middle, y2)))
                parts.append(text(middle + 6, y2 - 24, " or ".join(events), anchor="start"))
                continue
            side, out = (1, x + width) if lane % 2 else (-1, x)
            far = out + side * (30 + 40 * (lane // 2))
            shift = 8 + 8 * lane
            parts.append(
                arrow((out, y + shift), (far, y + shift), (far, y2 + shift), (out, y2 + shift))
            )
            anchor = "start" if side > 0 else "end"
            parts.append(
                text(far + side * 6, (y + y2 + height) / 2, " or ".join(events), anchor=anchor)
            )
            lane += 1
    return figure(WIDTH, step * len(order) - 48, parts, "The states of a conversation")


def transitions() -> str:
    """Show the table of the protocol: the next state for each state and event."""
    found = table()
    order = list(comments("State"))
    lines = ["| event | " + " | ".join(name.lower() for name in order) + " |"]
    lines.append("|---|" + "---|" * len(order))
    for event, meaning in comments("Event").items():
        cells = [_cell(found.get((state, event)), state) for state in order]
        lines.append(f"| **{event.lower()}**: {meaning} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(to: str | None, state: str) -> str:
    if to is None:
        return ""
    return "stays" if to == state else f"→ {to.lower()}"


def frames() -> Iterator[str]:
    """Name the kinds of frames that the drawing of a conversation shows."""
    for _, frame, _ in TALK:
        if frame:
            yield frame.split()[0]
