"""Draw docs/explain/file-io.svg from results/files.json: times as parts of a peer's.

python benchmarks/chart.py
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = (
    *("read_binary, one by one", "read_binary, 64 at a time", "read_binary, gathered"),
    *("read_binary, disk, inline, one by one", "read_binary, disk, inline, gathered"),
    *("read_many", "write_binary, one by one", "write_binary, 64 at a time"),
    *("write_binary, gathered", "1000 writes at once, disk, full"),
)
# Whose times the full bars are.
PEERS = {"aiofiles", "aiofiles, gathered", "fsync each, one by one"}
LEFT, WIDTH, ROW = 250, 360, 30
# Both schemes of a page: the colours follow the reader's setting.
STYLE = """
text { font: 13px sans-serif; fill: #333 } .ours { fill: #00796b } .base { fill: #9993 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .ours { fill: #4db6ac } }
"""


def main() -> None:
    """Write the chart."""
    report = json.loads((ROOT / "benchmarks/results/files.json").read_text(encoding="utf-8"))
    ratios = {
        case["case"]: figures["time"]["ratio"]["median"]
        for case in report["cases"]
        for peer, figures in case["peers"].items()
        if peer in PEERS and "time" in figures
    }
    names = [name for name in CASES if name in ratios]
    bars = [_bar(number, name, ratios[name]) for number, name in enumerate(names)]
    height = ROW * len(names) + 30
    title = "Time of mt.aio for files of 4 KiB; full bar: aiofiles, last row: flushing one by one"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 10} {height}" '
        f'role="img" aria-label="{title}"><style>{STYLE}</style>'
        f'<text x="0" y="16">{title}</text>{"".join(bars)}</svg>\n'
    )
    (ROOT / "docs/explain/file-io.svg").write_text(svg, encoding="utf-8")


def _bar(number: int, name: str, ratio: float) -> str:
    y = 28 + ROW * number
    return (
        f'<text x="0" y="{y + 15}">{escape(name)}</text>'
        f'<rect class="base" x="{LEFT}" y="{y}" width="{WIDTH}" height="20"/>'
        f'<rect class="ours" x="{LEFT}" y="{y}" width="{min(ratio, 1) * WIDTH:.0f}" height="20"/>'
        f'<text x="{LEFT + min(ratio, 0.85) * WIDTH + 6:.0f}" y="{y + 15}">{ratio:.2f}</text>'
    )


if __name__ == "__main__":
    main()
