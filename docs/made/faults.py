"""The page of faults: what the tests that make faults say of themselves, and what peers do."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "faults.json"

# Which tests make faults, by section; a file is in the first section that has a pattern for it.
SECTIONS = {
    "HDF5": ("tests/faults/test_h5_*.py", "tests/h5/test_fault.py"),
    "Event loops, forks, the interpreter's end": ("tests/faults/test_life.py",),
    "Files": (
        *("tests/faults/test_*.py", "tests/fs/test_cancellation.py"),
        *("tests/fs/test_concurrency.py", "tests/fs/test_sweep.py"),
    ),
    "Helper processes": (
        *("tests/proc/test_death.py", "tests/proc/test_error.py", "tests/proc/test_pickling.py"),
        *("tests/proc/test_give_up.py", "tests/proc/test_close.py", "tests/proc/test_parent.py"),
        *("tests/proc/test_fork.py", "tests/proc/test_nursery.py"),
    ),
    "Queues": ("tests/proc/test_queue_cancel.py",),
    "Managed aprocs": ("tests/manager/test_failure.py", "tests/manager/test_end.py"),
    "Further pieces": ("tests/*/test_fault*.py", "tests/*/test_death*.py"),
}


def files() -> dict[str, list[Path]]:
    """Give the files of each section."""
    taken: set[Path] = set()
    found: dict[str, list[Path]] = {}
    for section, patterns in SECTIONS.items():
        paths = {path for pattern in patterns for path in ROOT.glob(pattern)} - taken
        taken |= paths
        found[section] = sorted(paths)
    return {section: found[section] for section in sorted(found, key=_order) if found[section]}


def _order(section: str) -> int:
    """Put the files first, as they come first everywhere."""
    return -1 if section == "Files" else list(SECTIONS).index(section)


def tests(path: Path) -> Iterator[tuple[str, str]]:
    """Give the name of each test of a file, and what it says of itself."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name, _first(ast.get_docstring(node))


def about(path: Path) -> str:
    """Give what a file of tests says of itself."""
    return _first(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))))


def _first(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())


def tried() -> str:
    """List every fault that the tests make, with what has to come of it."""
    return "\n".join(
        line for section, paths in files().items() for line in _section(section, paths)
    )


def _section(title: str, paths: list[Path]) -> Iterator[str]:
    yield f"### {title}\n"
    for path in paths:
        yield f"**{_text(about(path))}** `{path.relative_to(ROOT)}`\n"
        yield "| tried | outcome |"
        yield "|---|---|"
        for name, outcome in tests(path):
            words = name.removeprefix("test_").replace("_", " ")
            yield f"| {_text(words)} | {_text(outcome)} |"
        yield ""


def count() -> str:
    """Say how many faults there are."""
    paths = [path for found in files().values() for path in found]
    number = sum(1 for path in paths for _ in tests(path))
    return f"{number} tests in {len(paths)} files; most run in both modes, many with each writer."


def peers() -> str:
    """Show what came of the same faults, made to mt.aio and to others by the same program."""
    if not RESULT.is_file():
        return "No result is kept: run `scripts/bench faults`."
    report = json.loads(RESULT.read_text(encoding="utf-8"))
    lines: list[str] = []
    for group in report["groups"]:
        wide = ('<div class="mt-wide" markdown>', "", *_peers(group), "", "</div>")
        lines += [f"### {group['title']}\n", *wide, ""]
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines.append(
        f"Tried on {machine['date'][:10]}, Python {machine['python']}, {machine['system']}; "
        f"{versions}."
    )
    return "\n".join(lines)


def _peers(group: dict[str, Any]) -> Iterator[str]:
    yield "| fault | " + " | ".join(_text(name) for name in group["contestants"]) + " |"
    yield "|---|" + "---|" * len(group["contestants"])
    for fault in group["faults"]:
        cells = [_outcome(fault["outcomes"].get(name)) for name in group["contestants"]]
        yield f"| {_text(fault['fault'])} | " + " | ".join(cells) + " |"


def _outcome(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{'✓' if found['good'] else '✗'} {_text(found['text'])}"


def _text(words: str) -> str:
    """Keep words from being taken for Markdown, but for code in back quotes."""
    parts = words.split("`")
    if len(parts) % 2 == 0:  # an odd one out
        return _plain(words.replace("`", "'"))
    return "`".join(_plain(part) if i % 2 == 0 else part for i, part in enumerate(parts))


def _plain(words: str) -> str:
    for sign in ("\\", "|", "*", "_", "[", "]"):
        words = words.replace(sign, f"\\{sign}")
    return escape(words, quote=False)
