"""Draw what was measured, from results/*.json: ratios as bars on a logarithmic scale.

python benchmarks/chart.py    redraws the charts that are kept in docs/ (scripts/bench charts)

The page of benchmarks is made of the same results, by docs/made/benchmarks.py, at each build.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import h5_stall
from _style import STYLE

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

# Units of the drawing; arbitrary, but legible when a phone shows all of it.
NAMES, BARS, FIGURES = 200, 184, 64
ROW, HEAD = 19, 26
LEAST = (
    1e-5  # where the scale ends: a time less a start-up's, as of an import, may be nothing at all
)
Report = dict[str, Any]

# (suite, case, peer, how the chart calls it); what has not been measured is left out.
SUMMARY = (
    ("core", "srun", "asyncio.run", "sync call, against asyncio.run"),
    ("core", "srun", "asgiref", "sync call, against asgiref"),
    ("files", "read_binary, one by one", "aiofiles", "read 4 KiB, against aiofiles"),
    ("files", "read_many", "aiofiles, gathered", "read many, against aiofiles"),
    ("files", "write_binary, one by one", "aiofiles, atomic", "atomic write, against aiofiles"),
    ("h5", "write, gzip 4 + shuffle, isal", "h5py", "write HDF5, against h5py"),
    ("proc", "small message, one in flight", "ProcessPoolExecutor", "ask a child, against a pool"),
    (
        "proc",
        "further child, small parent",
        "multiprocessing spawn",
        "start a child, against spawn",
    ),
    ("queues", "wake-up, thread queue, median", "janus", "await a queue, against janus"),
    ("manager", "100,000 trivial aprocs, 16 at once", "aiojobs", "many tasks, against aiojobs"),
)
FILES = tuple(
    ("files", case, peer, label or case)
    for case, peer, label in (
        ("read_binary, one by one", "aiofiles", ""),
        ("read_binary, 64 at a time", "aiofiles", ""),
        ("read_binary, gathered", "aiofiles", ""),
        ("read_binary, disk, inline, one by one", "aiofiles", "inline=True, one by one"),
        ("read_binary, disk, inline, gathered", "aiofiles", "inline=True, gathered"),
        ("read_many", "aiofiles, gathered", ""),
        ("write_binary, one by one", "aiofiles", ""),
        ("write_binary, 64 at a time", "aiofiles", ""),
        ("write_binary, gathered", "aiofiles", ""),
        ("1000 writes at once, disk, full", "fsync each, one by one", "1000 writes at once"),
    )
)


@dataclass(frozen=True)
class Bar:
    """A ratio of ours to a peer's: the median of all rounds, and how far they lie apart."""

    name: str
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Group:
    """Bars under one heading."""

    heading: str
    bars: tuple[Bar, ...]


def reports() -> dict[str, Report]:
    """Read the results that are there, by suite; what else lies there is no suite's."""
    found = {}
    for path in sorted(RESULTS.glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        if "cases" in report and not report.get("quick"):
            found[report["suite"]] = report
    return found


def times(report: Report) -> Iterator[Group]:
    """Give the times of each case as parts of the peers'."""
    for case in report["cases"]:
        bars = tuple(
            _bar(peer, figures["time"]["ratio"])
            for peer, figures in case["peers"].items()
            if "time" in figures
        )
        if bars:
            yield Group(case["case"], bars)


def chosen(
    found: dict[str, Report], wanted: Iterable[tuple[str, str, str, str]]
) -> tuple[Bar, ...]:
    """Give some times of all suites; those that were not measured are left out."""
    return tuple(
        _bar(label, case["peers"][peer]["time"]["ratio"])
        for suite, name, peer, label in wanted
        for case in found.get(suite, {"cases": []})["cases"]
        if case["case"] == name and "time" in case["peers"].get(peer, {})
    )


def _bar(name: str, ratio: dict[str, float]) -> Bar:
    return Bar(name, ratio["median"], ratio["min"], ratio["max"])


def number(ratio: float) -> str:
    """Write a ratio with two digits that count, or three if it is near 1."""
    if ratio >= 100 or ratio == 0:  # noqa: PLR2004 - digits
        return f"{ratio:.0f}"
    if ratio < 0:
        return f"-{number(-ratio)}"
    digits = 2 if 0.1 <= ratio < 10 else 1 - floor(log10(ratio))  # noqa: PLR2004 - digits
    return f"{ratio:.{max(digits, 0)}f}"


def draw(title: str, groups: Iterable[Group], *, alone: bool = False) -> str:
    """Make a chart as SVG.

    Args:
        title: what it shows, for those who do not see it
        groups: the bars
        alone: whether it is a file of its own, which has to bring its colours along
    """
    groups = list(groups)
    bars = [bar for group in groups for bar in group.bars]
    least = floor(log10(max(LEAST, min([0.5, *(bar.low for bar in bars)]))))
    most = ceil(log10(max([2.0, *(bar.high for bar in bars)])))

    def place(ratio: float) -> float:
        power = log10(max(ratio, 10.0**least))
        return round(NAMES + BARS * (power - least) / (most - least), 1)

    powers = range(least, most + 1)
    parts, y = list(_scale(powers, place)), HEAD
    for group in groups:
        if group.heading:
            y += HEAD - ROW
            parts.append(_text(0, y + 14, group.heading, "font-weight='600'"))
            y += ROW
        bottom = y + ROW * len(group.bars)
        parts += _rules(powers, y, bottom, place)
        for row, bar in enumerate(group.bars):
            parts += _draw_bar(bar, y + ROW * row, place)
        y = bottom
    width = NAMES + BARS + FIGURES
    own = f"<style>{STYLE}</style>" if alone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mt-chart" role="img" '
        f'viewBox="0 0 {width} {y + 8}" font-family="sans-serif" font-size="12" '
        f'fill="var(--ink)"><title>{escape(title)}</title>{own}{"".join(parts)}</svg>\n'
    )


def _draw_bar(bar: Bar, y: int, place: Any) -> Iterator[str]:
    """Draw one bar, from equality to its ratio, with a line for the spread."""
    one, end = place(1), place(bar.ratio)
    colour = "var(--less)" if bar.ratio <= 1 else "var(--more)"
    hint = f"{bar.name}: {number(bar.ratio)} ({number(bar.low)} to {number(bar.high)})"
    yield f"<g><title>{escape(hint)}</title>"
    yield _text(NAMES - 8, y + 13, bar.name, "text-anchor='end'")
    yield (
        f'<rect x="{min(one, end)}" y="{y + 4}" width="{max(abs(end - one), 1):.1f}" height="11" '
        f'fill="{colour}"/>'
    )
    yield f'<path d="M{place(bar.low)} {y + 9.5}H{place(bar.high)}" stroke="var(--ink)"/>'
    yield _text(NAMES + BARS + 8, y + 13, number(bar.ratio))
    yield "</g>"


def _scale(powers: range, place: Any) -> Iterator[str]:
    """Write what the lines of the scale mean."""
    step = ceil(len(powers) / 6)
    for power in powers:
        if power % step == 0:
            label = f"{10.0**power:g}" if power != 0 else "equal"
            yield _text(place(10.0**power), 14, label, "text-anchor='middle' font-size='10'")


def _rules(powers: range, top: int, bottom: int, place: Any) -> Iterator[str]:
    """Draw the scale behind some bars: a line for each power of ten, that of equality darker."""
    for power in powers:
        stroke = "var(--ink)" if power == 0 else "var(--rule)"
        yield f'<path d="M{place(10.0**power)} {top}V{bottom}" stroke="{stroke}" fill="none"/>'


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" {more}>{escape(text)}</text>'


def kept() -> dict[Path, str]:
    """Give the charts that are kept as files, because they are shown outside of the site too."""
    found = reports()
    summary = "Time of mt.aio as a part of its peers', on a logarithmic scale"
    files = "Time of mt.aio as a part of that of others, for files of 4 KiB"
    explain = ROOT / "docs" / "explain"
    charts = {
        ROOT / "docs" / "assets" / "summary.svg": draw(
            summary, [Group("", chosen(found, SUMMARY))], alone=True
        ),
        explain / "file-io.svg": draw(files, [Group("", chosen(found, FILES))], alone=True),
    }
    if h5_stall.RESULT.is_file():
        stall = json.loads(h5_stall.RESULT.read_text(encoding="utf-8"))
        charts[explain / "h5_stall.svg"] = h5_stall.draw(stall)
    return charts


def main() -> None:
    """Write the charts."""
    for path, svg in kept().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
