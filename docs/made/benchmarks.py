"""The page of benchmarks: charts and tables made of benchmarks/results/*.json, and of nothing else.

A suite that has no result is not there; one that is new gets its place after those named here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import chart

del sys.path[0]

TITLES = {
    "core": "Runners and worker threads",
    "files": "Files",
    "h5": "HDF5",
    "proc": "Helper processes",
    "queues": "Queues",
    "manager": "Many aprocs",
    "imports": "Imports",
    "cluster": "Beyond one machine",
}
FIGURES = {
    "time": "time",
    "cpu": "CPU time",
    "gap": "longest gap of the loop",
    "fds": "open descriptors",
}
SECONDS = {"time", "gap", "cpu"}
STATES = {True: "reached", False: "**not reached**", None: "not measured"}


def summary() -> str:
    """Draw some ratios of all suites."""
    bars = chart.chosen(chart.reports(), chart.SUMMARY)
    return figure(chart.draw("Time of mt.aio as a part of its peers'", [chart.Group("", bars)]))


def suites() -> str:
    """Make a section of each suite that has a result."""
    found = chart.reports()
    order = [name for name in TITLES if name in found]
    order += [name for name in found if name not in TITLES]
    return "\n".join(line for name in order for line in suite(found[name]))


def tally() -> str:
    """Say how many targets there are, and how many have been reached."""
    reached = [
        target["reached"]
        for report in chart.reports().values()
        for case in report["cases"]
        for target in case["targets"]
    ]
    text = f"Of {len(reached)} targets {reached.count(True)} are reached"
    if missing := reached.count(None):
        text += f", and {missing} could not be measured"
    return f"{text}. The other {reached.count(False)}:"


def missed() -> str:
    """List the targets that are not reached."""
    lines = ["| suite | case | figure | at most | measured |", "|---|---|---|--:|--:|"]
    for name, report in chart.reports().items():
        for case in report["cases"]:
            for target in case["targets"]:
                if target["reached"] is False:
                    against = f", against {cell(target['peer'])}" if target["peer"] else ""
                    lines.append(
                        f"| {TITLES.get(name, name)} | {cell(case['case'])} | "
                        f"{figure_name(target['figure'])}{against} | {limit(target)} | "
                        f"{measured(target)} |"
                    )
    return "\n".join(lines if len(lines) > 2 else ["None."])  # noqa: PLR2004 - the head


def suite(report: dict[str, Any]) -> Iterator[str]:
    """Show a suite's chart, its table, and what it was measured with."""
    name = report["suite"]
    yield f"### {TITLES.get(name, name.capitalize())} {{ #{name} }}\n"
    groups = list(chart.times(report))
    if groups:
        yield figure(chart.draw(f"{name}: time of mt.aio as a part of its peers'", groups)) + "\n"
    yield f"Again: `scripts/bench {name}`. {facts(report['machine'])}\n"
    yield '??? note "All figures"\n'
    yield from (f"    {line}".rstrip() for line in table(report))
    yield ""


def facts(machine: dict[str, Any]) -> str:
    """Tell what the figures depend on."""
    versions = ", ".join(
        f"{name} {version}"
        for name, version in machine["versions"].items()
        if version != "not installed" and not name.startswith("mt-aio")
    )
    hardware = f"{machine['cores']} cores"
    if machine.get("processor"):
        hardware += f" of {machine['processor']}"
    load = f"load {machine['load']:.1f}"
    if "load_after" in machine:
        load += f" before and {machine['load_after']:.1f} after"
    return (
        f"Measured on {machine['date'][:10]} with mt-aio {machine['versions']['mt-aio-core']}, "
        f"Python {machine['python']}, {machine['system']}, {hardware}, {load}; "
        f"{versions}."
    )


def table(report: dict[str, Any]) -> Iterator[str]:
    """List each figure against each peer, with its target if there is one."""
    yield "| case | figure | against | ratio | least | most | target | |"
    yield "|---|---|---|--:|--:|--:|--:|---|"
    for case in report["cases"]:
        name = cell(case["case"])
        for row in (*_against(case), *_alone(case)):
            yield f"| {name} | {row} |"
            name = ""
    yield ""
    for case in report["cases"]:
        if case["notes"]:
            yield f"- {cell(case['case'])}: {cell(case['notes'])}"
        date = case.get("date", report["machine"]["date"])[:10]  # of a case that was measured alone
        if date != report["machine"]["date"][:10]:
            yield f"- {cell(case['case'])}: measured on {date}"


def _against(case: dict[str, Any]) -> Iterator[str]:
    """Give a row for each figure of each peer; CPU time tells little that the time does not."""
    for peer, figures in case["peers"].items():
        for kind, found in figures.items():
            aims = [t for t in case["targets"] if (t["peer"], t["figure"]) == (peer, kind)]
            if kind == "cpu" and not aims:
                continue
            ratio = " | ".join(chart.number(found["ratio"][k]) for k in ("median", "min", "max"))
            aim = f"{limit(aims[0])} | {STATES[aims[0]['reached']]}" if aims else " | "
            yield f"{figure_name(kind)} | {cell(peer)} | {ratio} | {aim}"


def _alone(case: dict[str, Any]) -> Iterator[str]:
    """Give a row for each target that is a limit, and for each that could not be measured."""
    for target in case["targets"]:
        state, figure_ = STATES[target["reached"]], figure_name(target["figure"])
        if target["value"] is None:
            yield f"{figure_} | {cell(target['peer'] or '')} | | | | {limit(target)} | {state}"
        elif target["peer"] is None:
            part = chart.number(share(target))
            yield f"{figure_} | a limit of {limit(target)} | {part} | | | 1 | {state}"


def share(target: dict[str, Any]) -> float:
    """Give a figure of ours as a part of its limit."""
    return max(target["value"], 1e-12) / max(target["at_most"], 1e-12)


def limit(target: dict[str, Any]) -> str:
    """Write what a target asks for: a ratio, or a figure of ours."""
    return chart_number(target, target["at_most"])


def measured(target: dict[str, Any]) -> str:
    """Write what came of it, in the same way."""
    return chart_number(target, target["value"])


def chart_number(target: dict[str, Any], value: float) -> str:
    """Write a ratio; or a figure with its unit, where there is no peer."""
    if target["peer"] is not None:
        return f"{value:.3g}"
    if target["figure"] not in SECONDS:
        return f"{value:.3g} {FIGURES.get(target['figure'], target['figure'])}"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def figure_name(kind: str) -> str:
    """Name a figure in words."""
    return FIGURES.get(kind, kind)


def cell(text: str) -> str:
    """Keep a text from being taken for Markdown, or for the end of a cell."""
    return escape(text, quote=False).replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def figure(svg: str) -> str:
    """Put a drawing into the page."""
    return f'<figure class="mt-figure">{svg.strip()}</figure>'
