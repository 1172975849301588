from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import h5py
import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "stdlib_catalogue.py"
STDLIB = Path(sysconfig.get_path("stdlib"))
STAGES = ["read", "parse", "save", "store", "all"]
LIMIT = 60

# Runs the demo as a script on a standard library of our own; argv: its folder, the code to run
# when the job has been done in asynchronous mode, the demo's arguments.
DRIVER = f"""
import asyncio, runpy, sys, sysconfig
folder, spoil = sys.argv[1:3]
del sys.argv[1:3]
real = sysconfig.get_path
sysconfig.get_path = lambda name: folder if name == "stdlib" else real(name)
def run(coro, real=asyncio.run):
    result = real(coro)
    exec(spoil)
    return result
asyncio.run = run
sys.argv[0] = {str(SCRIPT)!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""

SOURCES = {
    "empty.py": b"",
    "bad.py": b"print 1\nif\n",
    "package/bad_coding.py": b"# coding: nowhere\n",
    "package/null.py": b"x = '\0'\n",
    "package/latin.py": b"# coding: latin-1\n\tx = '\xe9'\n".replace(b"\t", b""),
    "site-packages/installed.py": b"import this\n",
    "nested.py": b"""\
if a:
    b
elif c:
    # comment
    d = '''
x'''
else:
    try:
        e
    except E:
        f; g
h; i
match j:
    case 1:
        import k
class L:
    async def m(self): pass
""",
}


def demo(*args, **options):
    """Run the demo as a user does."""
    command = [sys.executable, str(SCRIPT), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def demo_on(sources, out, spoil=""):
    """Run the demo on a standard library of our own."""
    command = [sys.executable, "-c", DRIVER, str(sources), spoil, "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def files(folder):
    """Read all files below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder that a run has left."""
    return tmp_path_factory.mktemp("demo") / "new" / "folder"


@pytest.fixture(scope="module")
def finished(out):
    """A run over the first files of the real standard library."""
    return demo("--out", out, "--limit", LIMIT)


@pytest.fixture(scope="module")
def index(finished, out):
    """The index that it has left."""
    return json.loads((out / "sync" / "index.json").read_text())


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A standard library of our own."""
    folder = tmp_path_factory.mktemp("lib")
    for name, content in SOURCES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def our_out(sources, tmp_path_factory):
    """The folder that a run over it has left."""
    folder = tmp_path_factory.mktemp("out")
    done = demo_on(sources, folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


@pytest.mark.slow
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


@pytest.mark.slow
def test_files_of_both_modes(finished, out):
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_arrays(index, out):
    """There is a number for each line of each source."""
    with h5py.File(out / "async" / "lines.h5") as file:
        for name, summary in index.items():
            lines = (STDLIB / name).read_bytes().splitlines()
            assert file[name]["length"][()].tolist() == [len(line) for line in lines]
            assert file[name]["nesting"].shape == file[name]["indentation"].shape == (len(lines),)
            assert max(file[name]["nesting"], default=0) == summary["deepest"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_chart(finished, out):
    """The chart is a picture with something on it."""
    import matplotlib.image

    picture = matplotlib.image.imread(out / "chart.png")
    height, width = picture.shape[:2]
    assert width > 2 * height > 400
    assert len({tuple(pixel) for row in picture[::7] for pixel in row.tolist()}) > 10


@pytest.mark.slow
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


@pytest.mark.slow
def test_run_again(finished, out):
    """A second run into the same folder replaces what it finds, and leaves the same."""
    before = files(out / "sync")
    again = demo("--out", out, "--limit", LIMIT, "--children", 1)
    assert again.returncode == 0, again.stderr
    assert "identical" in again.stdout.splitlines()[-2]
    assert files(out / "sync") == before


@pytest.mark.slow
def test_what_cannot_be_parsed(our_out):
    """Sources that are no Python are told, and catalogued as far as that is possible."""
    bad = ["bad.py", "package/bad_coding.py", "package/null.py"]
    lines = (our_out / "stdout").read_text().splitlines()
    assert [line.split(": ")[1] for line in lines if "not parsed: " in line] == bad
    assert list(json.loads((our_out / "report.json").read_text())["not_parsed"]) == bad
    summary = json.loads((our_out / "sync/summaries/bad.py.json").read_text())
    assert summary.pop("error").startswith("SyntaxError: Missing parentheses")
    assert summary == {"bytes": 11, "lines": 2, "comments": 0}


@pytest.mark.slow
def test_groups(our_out):
    """Each source has a group, named like it, with the arrays that could be made."""
    with h5py.File(our_out / "async/lines.h5") as file:
        assert {*file} == {"bad.py", "empty.py", "nested.py", "package"}
        assert {*file["package"]} == {"bad_coding.py", "latin.py", "null.py"}
        assert {*file["bad.py"]} == {"length", "indentation"}
        assert {*file["empty.py"]} == {"length", "indentation", "nesting"}


@pytest.mark.slow
def test_counts_and_nesting(our_out):
    """Statements are counted, and each line has the nesting of its innermost statement."""
    index = json.loads((our_out / "async/index.json").read_text())
    counts = {"functions": 1, "classes": 1, "imports": 1, "comments": 1, "deepest": 2, "lines": 17}
    assert index["nested.py"] == {**counts, "bytes": len(SOURCES["nested.py"]), "error": None}
    with h5py.File(our_out / "async/lines.h5") as file:
        nesting = file["nested.py"]["nesting"][()].tolist()
        indentation = file["nested.py"]["indentation"][()].tolist()
    assert nesting == [0, 1, 0, 0, 1, 1, 0, 1, 2, 1, 2, 0, 0, 0, 1, 0, 2]
    assert indentation == [0, 4, 0, 4, 4, 0, 0, 4, 8, 4, 8, 0, 0, 4, 8, 0, 4]


SPOIL = """
import h5py
for name in ("index.json", "summaries/empty.py.json"):
    open(out + name, "a").write(" ")
with h5py.File(out + "lines.h5", "a") as file:
    file["nested.py/length"][3] = 7
    file["nested.py/more"] = 7
    del file["nested.py/nesting"]
"""


@pytest.mark.slow
def test_differences_are_found(sources, tmp_path):
    """If the modes differ, the exit status is 1 and the last lines say in what."""
    out = tmp_path / "out"
    done = demo_on(sources, out, f"out = {str(out / 'async')!r} + '/'\n{SPOIL}")
    assert done.returncode == 1, done.stderr
    assert "identical" not in done.stdout
    assert "5 of them differ" in done.stdout.splitlines()[-2]
    different = [
        "index.json",
        "lines.h5: nested.py/length",
        "lines.h5: nested.py/more",
        "lines.h5: nested.py/nesting",
        "summaries/empty.py.json",
    ]
    lines = done.stdout.splitlines()
    assert [line for line in lines if "DIFF" in line] == [f"DIFFERENT: {key}" for key in different]
    assert json.loads((out / "report.json").read_text())["different"] == different


def refused(done, argument):
    """Tell whether the demo ended with a clear error about an argument, in one line."""
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr.splitlines()[-1].startswith(
        f"stdlib_catalogue.py: error: argument {argument}"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value"),
    [("--limit", "0"), ("--limit", "-3"), ("--limit", "x"), ("--children", "0")],
)
def test_wrong_numbers(tmp_path, option, value):
    """A limit or a number of children below 1 is refused before anything is written."""
    done = demo(f"{option}={value}", cwd=tmp_path)
    assert refused(done, option)
    assert value in done.stderr.splitlines()[-1]
    assert files(tmp_path) == {}


@pytest.mark.slow
@pytest.mark.parametrize("out", ["file", "file/below", "sync-is-file"])
def test_no_folder(tmp_path, out):
    """A file where a folder should be is refused and left alone."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "sync-is-file").mkdir()
    (tmp_path / "sync-is-file" / "sync").write_text("mine")
    before = files(tmp_path)
    done = demo("--out", tmp_path / out)
    assert refused(done, "--out")
    assert str(tmp_path / out) in done.stderr.splitlines()[-1]
    assert files(tmp_path) == before


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
@pytest.mark.parametrize("out", [".", "below"])
def test_read_only_folder(tmp_path, out):
    """A folder that cannot be written to, or not be made, is refused."""
    tmp_path.chmod(0o500)
    try:
        done = demo("--out", tmp_path / out)
    finally:
        tmp_path.chmod(0o700)
    assert refused(done, "--out")
    assert "Permission denied" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")
def test_folder_that_nobody_can_write():
    """What the system refuses even to root is refused likewise."""
    assert refused(demo("--out", "/proc/catalogue"), "--out")


@pytest.mark.slow
def test_no_sources(tmp_path):
    """Where there is nothing to catalogue it says so, instead of "identical"."""
    done = demo_on(tmp_path, tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr == f"There are no .py files in {tmp_path}\n"
    assert done.stdout == ""


@pytest.mark.slow
def test_help():
    """--help names the options."""
    done = demo("--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--out", "--limit", "--children"))


@pytest.mark.slow
def test_default_folder(tmp_path):
    """Without --out it writes into a folder of the current one, and says where."""
    done = demo("--limit", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"See {tmp_path / 'out' / 'catalogue'}"
    assert (tmp_path / "out/catalogue/chart.png").is_file()
