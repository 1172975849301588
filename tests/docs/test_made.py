"""What pages take from the sources when the site is built: all of it, and nothing made up."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = re.compile(r"^<!-- made: (\w+)\.(\w+) -->$", re.MULTILINE)


@pytest.fixture
def chart(made):
    """Give benchmarks/chart.py."""
    return made.benchmarks.chart


@pytest.fixture
def no_results(chart, tmp_path, monkeypatch):
    """Have no results; give the folder where they would be."""
    monkeypatch.setattr(chart, "RESULTS", tmp_path)
    return tmp_path


def a_report(suite, **more):
    """Make the result of a suite with one case."""
    ratio = {"median": 0.25, "min": 0.2, "max": 0.5}
    target = {"figure": "time", "peer": "peer|1", "at_most": 0.2, "value": 0.25, "reached": False}
    case = {
        "case": "a_case",
        "notes": "a note",
        "date": "2025-12-31T00:00:00+00:00",
        "ours": {},
        "peers": {"peer|1": {"time": {"value": ratio, "ratio": ratio}}},
        "targets": [target],
    }
    machine = {
        "date": "2026-01-02T03:04:05+00:00",
        "python": "3.11.7",
        "system": "Linux",
        "cores": 2,
        "load": 0.5,
        "versions": {"mt-aio-core": "1.2.3", "peer": "4.5", "absent": "not installed"},
    }
    return {"suite": suite, "quick": False, "machine": machine, "cases": [case], **more}


def test_every_line_that_makes_something_names_what_exists(made):
    """A page asks for functions that there are, and each gives something."""
    asked = [
        found
        for path in (ROOT / "docs").rglob("*.md")
        for found in MADE.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(asked) > 8
    for module, function in asked:
        assert getattr(made.MAKERS[module], function)()


def test_charts_are_those_of_the_results(chart):
    """The charts that are kept as files are what `scripts/bench charts` draws."""
    for path, svg in chart.kept().items():
        assert path.read_text(encoding="utf-8") == svg, "run scripts/bench charts"


def test_chosen_ratios_exist(chart):
    """A ratio that a chart wants is in its suite's result, if that is there."""
    found = chart.reports()
    assert found
    for suite, case, peer, _ in chart.SUMMARY:
        if suite in found:
            (peers,) = [c["peers"] for c in found[suite]["cases"] if c["case"] == case]
            assert "time" in peers[peer], (suite, case, peer)
    assert len(chart.chosen(found, chart.FILES)) >= 8  # new cases may wait for being measured


def test_page_shows_every_case(made, chart):
    """Each case of each suite that has a result is on the page, with every target's state."""
    text = made.benchmarks.suites()
    for report in chart.reports().values():
        for case in report["cases"]:
            assert made.benchmarks.cell(case["case"]) in text
    targets = [t for r in chart.reports().values() for c in r["cases"] for t in c["targets"]]
    missed = [target for target in targets if target["reached"] is False]
    assert text.count("| **not reached** |") == len(missed)
    assert made.benchmarks.missed().count("\n") == len(missed) + 1


def test_no_result_at_all(made, no_results):
    """Where nothing has been measured the page can be built all the same."""
    assert list(no_results.iterdir()) == []
    assert made.benchmarks.suites() == ""
    assert made.benchmarks.missed() == "None."
    assert made.benchmarks.summary().startswith("<figure")


def test_a_suite_that_is_new(made, no_results):
    """A suite that nobody has heard of gets its section; a quick result is no result."""
    (no_results / "new.json").write_text(json.dumps(a_report("new")))
    (no_results / "new-quick.json").write_text(json.dumps(a_report("hasty", quick=True)))
    (no_results / "other.json").write_text("{}")
    text = made.benchmarks.suites()
    assert "### New" in text
    assert "hasty" not in text
    assert "| a\\_case | time | peer\\|1 | 0.25 | 0.20 | 0.50 | 0.2 | **not reached** |" in text
    assert "- a\\_case: a note" in text
    assert "- a\\_case: measured on 2025-12-31" in text
    assert "mt-aio 1.2.3, Python 3.11.7, Linux, 2 cores, load 0.5; peer 4.5." in text
    assert "0 are reached" in made.benchmarks.tally()


def test_a_bar_is_where_its_ratio_is(chart):
    """On the logarithmic scale ten times less is one step to the left of equality."""
    bars = [chart.Bar("ten", 0.1, 0.1, 0.1), chart.Bar("hundred", 0.01, 0.01, 0.01)]
    svg = chart.draw("a title", [chart.Group("", tuple(bars))])
    widths = [float(w) for w in re.findall(r'<rect x="[\d.]+" y="\d+" width="([\d.]+)"', svg)]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.3)
    assert "<title>a title</title>" in svg
    assert "<style>" not in svg
    assert "<style>" in chart.draw("", [chart.Group("", tuple(bars))], alone=True)


def test_a_bar_of_nothing_is_as_long_as_the_scale(chart):
    """Of a time that is nothing, or less as measured, no logarithm is taken."""
    svg = chart.draw("", [chart.Group("", (chart.Bar("none", 0.0, -0.1, 1.0),))])
    assert f'<rect x="{chart.NAMES}.0"' in svg


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.0013, "0.0013"),
        (0.18, "0.18"),
        (2.5, "2.50"),
        (31.4, "31"),
        (250, "250"),
        (-0.2, "-0.20"),
    ],
)
def test_ratios_are_written_with_the_digits_that_count(chart, ratio, text):
    """Two of them, whatever the size."""
    assert chart.number(ratio) == text


def test_every_file_of_fault_tests_is_shown(made):
    """No file of tests/faults is missing, nor any test of a file that is shown."""
    shown = {path for paths in made.faults.files().values() for path in paths}
    assert set((ROOT / "tests" / "faults").glob("test_*.py")) <= shown
    text = made.faults.tried()
    for path in shown:
        assert str(path.relative_to(ROOT)) in text
        names = re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert [name for name, _ in made.faults.tests(path)] == names


def test_every_fault_test_says_what_comes_of_it(made):
    """A row of the page has an outcome."""
    for paths in made.faults.files().values():
        for path in paths:
            assert made.faults.about(path)
            assert all(outcome for _, outcome in made.faults.tests(path)), path


def test_peers_have_the_same_faults(made):
    """The table shows each fault that was done to mt.aio and to others, with its outcome."""
    report = json.loads(made.faults.RESULT.read_text(encoding="utf-8"))
    text = made.faults.peers()
    for group in report["groups"]:
        assert group["contestants"][0] == "mt.aio"
        for fault in group["faults"]:
            assert f"| {made.faults._text(fault['fault'])} |" in text
            assert len(fault["outcomes"]) >= 5, fault["fault"]
            assert fault["outcomes"]["mt.aio"]["good"], fault["fault"]


def test_no_result_of_faults(made, tmp_path, monkeypatch):
    """Where they were not done, the page says how to do them."""
    monkeypatch.setattr(made.faults, "RESULT", tmp_path / "faults.json")
    assert "scripts/bench faults" in made.faults.peers()


def test_the_table_of_states_is_the_protocols(made):
    """What the page shows is what the program does."""
    protocol = pytest.importorskip("mt.aio.proc._protocol")
    table = {(s.name, e.name): to.name for (s, e), to in protocol.TABLE.items()}
    assert made.diagrams.table() == table
    assert list(made.diagrams.comments("State")) == [state.name for state in protocol.State]
    assert list(made.diagrams.comments("Event")) == [event.name for event in protocol.Event]
    assert made.diagrams.transitions().count("\n") == len(protocol.Event) + 1
    assert set(made.diagrams.frames()) <= set(protocol.__all__)


def test_every_state_and_its_ways_are_drawn(made):
    """The drawing has a box for each state and an arrow for each pair of different ones."""
    table = made.diagrams.table()
    ways = {(state, to) for (state, _), to in table.items() if state != to}
    drawing = made.diagrams.states()
    assert drawing.count("<rect") == len(made.diagrams.comments("State"))
    assert drawing.count('Z"/>') == len(ways)


def test_every_distribution_is_drawn(made):
    """The drawing of the pieces has each, and what it needs beside ours."""
    drawing = made.diagrams.pieces()
    for path in ROOT.glob("packages/*/pyproject.toml"):
        assert f">{path.parent.name}<" in drawing
    assert "h5py" in drawing
    assert made.diagrams.direct("mt-aio-h5", made.diagrams.members()) == ["mt-aio-fs"]


def test_a_piece_is_near_those_that_it_needs(made):
    """Rows go by dependencies, and within a row arrows do not cross."""
    needs = {"a": [], "b": ["a"], "c": ["a"], "d": ["c", "x"], "e": ["b", "a"]}
    ground, middle, top = made.diagrams.arranged(needs)
    assert (list(ground), list(middle), list(top)) == (["a"], ["b", "c"], ["e", "d"])
    assert made.diagrams.direct("e", needs) == ["b"]


def test_hooks_use_nothing_but_the_standard_library(made):
    """The environment of the site has none of our packages, nor their dependencies."""
    for path in (*(ROOT / "docs" / "made").glob("*.py"), ROOT / "benchmarks" / "chart.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith(("mt.", "numpy", "h5py"))
    assert made.DOCS == ROOT / "docs"


def test_changes_that_wait_for_a_release_are_shown(made, tmp_path, monkeypatch):
    """The changelog's page has each fragment, under its kind; after a release there is none."""
    assert made.RELEASES in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    monkeypatch.setattr(made.changes, "FOLDER", tmp_path)
    assert made.changes.waiting() == ""
    (tmp_path / "README.md").write_text("how to write one")
    (tmp_path / "+b.fixed.md").write_text("`x`: b.\n")
    (tmp_path / "+a.added.md").write_text("`x`: a.\n")
    wanted = "## Not released yet\n\n### Added\n\n- `x`: a.\n\n### Fixed\n\n- `x`: b."
    assert made.changes.waiting() == wanted
