"""The demo on the first files of the interpreter's own standard library."""

from __future__ import annotations

import ast
import json
import sysconfig
from pathlib import Path

import h5py
import pytest

STDLIB = Path(sysconfig.get_path("stdlib"))
STAGES = ["read", "parse", "save", "store", "all"]
LIMIT = 60

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder that a run has left."""
    return tmp_path_factory.mktemp("demo") / "new" / "folder"


@pytest.fixture(scope="module")
def finished(out, demo):
    """A run over the first files of the real standard library."""
    return demo("--out", out, "--limit", LIMIT)


@pytest.fixture(scope="module")
def index(finished, out):
    """The index that it has left."""
    return json.loads((out / "sync" / "index.json").read_text())


def test_both_modes_are_identical(finished, out):
    """It ends well, and says that the modes agree, on what, and where to look."""
    assert finished.returncode == 0, finished.stderr
    with h5py.File(out / "sync" / "lines.h5") as file:
        datasets = []
        file.visititems(
            lambda name, item: datasets.append(name) if hasattr(item, "dtype") else None
        )
    verdict, where = finished.stdout.splitlines()[-2:]
    count = LIMIT + 1 + len(datasets)
    assert verdict == f"{LIMIT} files made {count} results: identical in both modes"
    assert where == f"See {out}"


def test_files_of_both_modes(finished, out, files):
    """Either mode has written a summary for each source, the arrays and the index; no more."""
    sync, asynch = files(out / "sync"), files(out / "async")
    assert len(sync) == LIMIT + 2
    assert sync.keys() == asynch.keys()
    assert {name for name in sync if sync[name] != asynch[name]} <= {"lines.h5"}
    assert files(out).keys() == {
        "report.json",
        "chart.png",
        *(f"{mode}/{name}" for mode in ("sync", "async") for name in sync),
    }


def test_index(index, out):
    """The index has the first sources with their counts, which are also in the summaries."""
    found = (path.relative_to(STDLIB) for path in STDLIB.rglob("*.py"))
    first = sorted(path for path in found if path.parts[0] != "site-packages")[:LIMIT]
    assert list(index) == [path.as_posix() for path in first]
    for name, summary in index.items():
        content = (STDLIB / name).read_bytes()
        nodes = list(ast.walk(ast.parse(content)))
        functions = sum(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for n in nodes)
        assert summary["functions"] == functions
        assert summary["classes"] == sum(isinstance(n, ast.ClassDef) for n in nodes)
        assert summary["imports"] == sum(isinstance(n, ast.Import | ast.ImportFrom) for n in nodes)
        assert summary["bytes"] == len(content)
        assert json.loads((out / "async/summaries" / f"{name}.json").read_text()) == summary


def test_arrays(index, out):
    """There is a number for each line of each source."""
    with h5py.File(out / "async" / "lines.h5") as file:
        for name, summary in index.items():
            lines = (STDLIB / name).read_bytes().splitlines()
            assert file[name]["length"][()].tolist() == [len(line) for line in lines]
            assert file[name]["nesting"].shape == file[name]["indentation"].shape == (len(lines),)
            assert max(file[name]["nesting"], default=0) == summary["deepest"]


def test_report(finished, out):
    """The report and the printed table have the seconds of each stage in each mode."""
    report = json.loads((out / "report.json").read_text())
    assert report["different"] == []
    sync, asynch = report["seconds"]["sync"], report["seconds"]["async"]
    assert list(sync) == list(asynch) == STAGES
    assert sync["all"] == pytest.approx(sum(sync[stage] for stage in STAGES[:-1]))
    rows = [line.split() for line in finished.stdout.splitlines()[: len(STAGES) + 1]]
    assert rows[0] == ["stage", "sync", "s", "files/s", "async", "s", "files/s"]
    for stage, (name, *cells) in zip(STAGES, rows[1:], strict=True):
        speeds = [(f"{mode[stage]:.2f}", f"{LIMIT / mode[stage]:,.0f}") for mode in (sync, asynch)]
        assert [name, *cells] == [stage, *speeds[0], *speeds[1]]


def test_chart(finished, out):
    """The chart is a picture with something on it."""
    import matplotlib.image

    picture = matplotlib.image.imread(out / "chart.png")
    height, width = picture.shape[:2]
    assert width > 2 * height > 400
    assert len({tuple(pixel) for row in picture[::7] for pixel in row.tolist()}) > 10


def test_progress(finished):
    """There is a bar for each stage in each mode, of which a log gets begin and end only."""
    for mode in ("sync", "async"):
        for stage in STAGES[:-1]:
            bars = [
                bar
                for bar in finished.stderr.splitlines()
                if bar.startswith(f"{mode:>7} {stage:5}:")
            ]
            assert len(bars) == 2
            assert "0%" in bars[0]
            assert f"{LIMIT}/{LIMIT}" in bars[1]


def test_run_again(finished, out, demo, files):
    """A second run into the same folder replaces what it finds, and leaves the same."""
    before = files(out / "sync")
    again = demo("--out", out, "--limit", LIMIT, "--children", 1)
    assert again.returncode == 0, again.stderr
    assert "identical" in again.stdout.splitlines()[-2]
    assert files(out / "sync") == before
