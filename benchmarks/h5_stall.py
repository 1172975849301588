"""The chart of the HDF5 guide: how late an event loop is while 32 MB of gzip are written.

python benchmarks/h5_stall.py           measures, keeps results/h5_stall.json and draws the chart
python benchmarks/h5_stall.py --draw    only draws it
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from _style import STYLE

RESULT = Path(__file__).parent / "results" / "h5_stall.json"
CHART = Path(__file__).parents[1] / "docs" / "explain" / "h5_stall.svg"
LEFT, TOP, WIDTH, HEIGHT = 64, 40, 560, 200


async def ticks(work: Awaitable[Any]) -> list[list[float]]:
    """Await some work; give for each tick of a 1 ms clock when it came and after how long."""
    begin = last = time.perf_counter()
    found: list[list[float]] = []
    loop = asyncio.get_running_loop()

    def tick() -> None:
        nonlocal last, handle
        now = time.perf_counter()
        found.append([round(1000 * (now - begin), 1), round(1000 * (now - last), 1)])
        last = now
        handle = loop.call_later(0.001, tick)

    handle = loop.call_soon(tick)
    await asyncio.sleep(0.1)
    await work
    await asyncio.sleep(0.1)
    handle.cancel()
    return found


def measure() -> dict[str, Any]:
    """Write the same array by plain h5py and by ours; keep what the loop's clock saw."""
    import _h5_ways as ways

    data = ways.sensor_data(32 * 2**20)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.h5")
        asyncio.run(ways.write_ours(path, data[: ways.CHUNK], ways.GZIP))  # imports
        return {
            "h5py": thinned(asyncio.run(ticks(ways.write_h5py(path, data, ways.GZIP)))),
            "mt.aio": thinned(asyncio.run(ticks(ways.write_ours(path, data, ways.GZIP, "zlib")))),
        }


def thinned(found: list[list[float]]) -> list[list[float]]:
    """Keep the longest gap of every 10 ms."""
    kept: dict[int, list[float]] = {}
    for at, gap in found:
        old = kept.setdefault(int(at // 10), [at, gap])
        if gap > old[1]:
            kept[int(at // 10)] = [at, gap]
    return list(kept.values())


def draw(result: dict[str, Any]) -> str:
    """Make the chart as SVG: gaps over time, on a logarithmic scale from 1 ms to 10 s."""
    end = max(at for series in result.values() for at, _ in series)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 16} '
            f'{TOP + HEIGHT + 48}" font-family="sans-serif" font-size="12" role="img" '
            'class="mt-chart" fill="var(--ink)"><title>'
            "Longest gap of the event loop over time, plain h5py against mt.aio</title>"
            f"<style>{STYLE}</style>"
        ),
        f'<text x="{LEFT}" y="20" font-size="14">Gap of the event loop, 32 MB of gzip</text>',
    ]
    for gap, label in ((1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1000, "1 s")):
        y = height(gap)
        lines.append(f'<path d="M{LEFT} {y}h{WIDTH}" stroke="var(--rule)"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{label}</text>')
    for name, colour in (("h5py", "var(--more)"), ("mt.aio", "var(--less)")):
        bars = "".join(
            f"M{LEFT + WIDTH * at / end:.1f} {TOP + HEIGHT}V{height(gap)}"
            for at, gap in result[name]
        )
        lines.append(f'<path d="{bars}" stroke="{colour}" stroke-width="2" opacity="0.75"/>')
        longest = max(result[name], key=lambda pair: pair[1])
        x = LEFT + WIDTH * longest[0] / end
        lines.append(
            f'<text x="{x:.1f}" y="{height(longest[1]) - 6}" fill="{colour}" text-anchor="'
            f'{"end" if x > LEFT + WIDTH / 2 else "start"}">{name}: {longest[1]:.0f} ms</text>'
        )
    foot = TOP + HEIGHT
    lines.append(f'<path d="M{LEFT} {foot}h{WIDTH}" stroke="var(--ink)"/>')
    lines.append(f'<text x="{LEFT + WIDTH}" y="{foot + 18}" text-anchor="end">{end:.0f} ms</text>')
    lines.append(f'<text x="{LEFT}" y="{foot + 18}">0</text>')
    lines.append(f'<text x="{LEFT + WIDTH / 2}" y="{foot + 36}" text-anchor="middle">time</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def height(gap: float) -> float:
    """Give a gap's place on the scale."""
    from math import log10

    return round(TOP + HEIGHT * (1 - max(0.0, log10(max(gap, 1))) / 4), 1)


if __name__ == "__main__":
    if "--draw" not in sys.argv:
        RESULT.write_text(json.dumps(measure()) + "\n", encoding="utf-8")
    CHART.write_text(draw(json.loads(RESULT.read_text(encoding="utf-8"))), encoding="utf-8")
