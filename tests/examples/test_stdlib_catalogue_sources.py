"""The demo on sources of our own: what it says of them, and of results that differ."""

from __future__ import annotations

import json

import h5py
import pytest

pytestmark = pytest.mark.slow

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
def our_out(sources, tmp_path_factory, demo_on):
    """The folder that a run over it has left."""
    folder = tmp_path_factory.mktemp("out")
    done = demo_on(sources, folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


def test_what_cannot_be_parsed(our_out):
    """Sources that are no Python are told, and catalogued as far as that is possible."""
    bad = ["bad.py", "package/bad_coding.py", "package/null.py"]
    lines = (our_out / "stdout").read_text().splitlines()
    assert [line.split(": ")[1] for line in lines if "not parsed: " in line] == bad
    assert list(json.loads((our_out / "report.json").read_text())["not_parsed"]) == bad
    summary = json.loads((our_out / "sync/summaries/bad.py.json").read_text())
    assert summary.pop("error").startswith("SyntaxError: Missing parentheses")
    assert summary == {"bytes": 11, "lines": 2, "comments": 0}


def test_groups(our_out):
    """Each source has a group, named like it, with the arrays that could be made."""
    with h5py.File(our_out / "async/lines.h5") as file:
        assert {*file} == {"bad.py", "empty.py", "nested.py", "package"}
        assert {*file["package"]} == {"bad_coding.py", "latin.py", "null.py"}
        assert {*file["bad.py"]} == {"length", "indentation"}
        assert {*file["empty.py"]} == {"length", "indentation", "nesting"}


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


def test_differences_are_found(sources, tmp_path, demo_on):
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


def test_no_sources(tmp_path, demo_on):
    """Where there is nothing to catalogue it says so, instead of "identical"."""
    done = demo_on(tmp_path, tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr == f"There are no .py files in {tmp_path}\n"
    assert done.stdout == ""
