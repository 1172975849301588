"""What type checkers see of the installed distributions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALLS = ROOT / "tests" / "typing"
PACKAGES = [path.parent for path in ROOT.glob("packages/*/src/mt/aio/*/py.typed")]

# pyright's name for what mypy calls so in rejected.py; other mistakes are compared by line only.
RULES = {
    "arg-type": "reportArgumentType",
    "attr-defined": "reportAttributeAccessIssue",
    "call-arg": "reportCallIssue",
}

USER_SCRIPT = """
import asyncio
from typing import assert_type

import mt.aio
from mt.aio import AprocManager, CreateFileH5, read_text, srun
from mt.aio.core.lowlevel import ContextVars


async def lines(path: str, context_vars: ContextVars) -> int:
    return len((await read_text(path, context_vars=context_vars)).splitlines())


assert_type(srun(lines, "a.txt"), int)
assert_type(asyncio.run(mt.aio.read_binary("a.bin", context_vars={"async": True})), bytes)
assert_type(AprocManager(max_concurrency=2), AprocManager)
assert_type(CreateFileH5("a.h5").tmp_filepath, str)
wrong: int = srun(read_text, "a.txt")
"""
WRONG_LINE = len(USER_SCRIPT.splitlines())

pytestmark = pytest.mark.slow
needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="pyright runs on node, which this machine has not"
)


def clean_environ():
    """The environment variables without one that would lead a checker to the checkout."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def pyright(environment, *arguments):
    """Run pyright on an environment; give its answer."""
    # --verifytypes looks at no other setting than which Python comes first.
    path = f"{environment.python.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", *arguments],
        cwd=environment.folder,
        env=clean_environ() | {"PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def mypy(environment, *scripts):
    """Run mypy on scripts as a user would, with no setting of this checkout."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull),
            *("--python-executable", environment.python, "--cache-dir", os.devnull, *scripts),
        ],
        cwd=environment.folder,
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stdout


def put_scripts(folder):
    """Put the three scripts that are checked, all in one run, into a folder."""
    folder.mkdir(exist_ok=True)
    for name in ("accepted.py", "rejected.py"):
        shutil.copy(CALLS / name, folder)
    (folder / "user.py").write_text(USER_SCRIPT)
    return sorted(folder.iterdir())


def expected_errors():
    """The mistakes in rejected.py, as lines with mypy's names for them."""
    lines = (CALLS / "rejected.py").read_text().splitlines()
    return {n: line.split("# error: ")[1] for n, line in enumerate(lines, 1) if "# error: " in line}


@needs_node
def test_the_whole_public_interface_has_types(all_installed):
    """`pyright --verifytypes` finds each public symbol's type known, and none ambiguous."""
    answer = pyright(all_installed, "--ignoreexternal", "--verifytypes", "mt.aio")
    found = answer["typeCompleteness"]
    assert {module["name"] for module in found["modules"]} >= {
        "mt.aio",
        *(f"mt.aio.{package.name}" for package in PACKAGES),
    }
    vague = [
        (symbol["name"], [finding["message"] for finding in symbol["diagnostics"]])
        for symbol in found["symbols"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
    ]
    assert not vague, "\n".join(f"{name}: {why}" for name, why in vague)
    counts = found["exportedSymbolCounts"]
    assert counts["withKnownType"] > 50
    assert counts["withUnknownType"] == counts["withAmbiguousType"] == 0
    assert found["completenessScore"] == 1


@pytest.fixture(scope="module")
def by_pyright(all_installed, once):
    """What pyright finds in each of the scripts, in one run."""

    def make(folder):
        answer = pyright(all_installed, *put_scripts(folder))
        (folder / "answer.json").write_text(json.dumps(answer))

    answer = json.loads((once("pyright", make) / "answer.json").read_text())
    assert answer["summary"]["filesAnalyzed"] == 3
    found = {"accepted.py": [], "rejected.py": [], "user.py": []}
    for finding in answer["generalDiagnostics"]:
        found[Path(finding["file"]).name].append(finding)
    return found


@needs_node
def test_pyright_accepts_what_is_to_be_accepted(by_pyright):
    """Each call in accepted.py is accepted by pyright too, with exactly the stated type."""
    assert [
        (finding["range"]["start"]["line"] + 1, finding["message"])
        for finding in by_pyright["accepted.py"]
    ] == []


@needs_node
def test_pyright_rejects_what_is_to_be_rejected(by_pyright):
    """Each mistake in rejected.py is one for pyright too, for the same reason."""
    found = {
        finding["range"]["start"]["line"] + 1: finding.get("rule")
        for finding in by_pyright["rejected.py"]
    }
    expected = expected_errors()
    assert found.keys() == expected.keys()
    assert found == {line: RULES.get(code, found[line]) for line, code in expected.items()}


@needs_node
def test_pyright_on_a_user_s_script(by_pyright):
    """A script that uses the installed wheels has the one error that it has."""
    found = by_pyright["user.py"]
    assert [finding["range"]["start"]["line"] + 1 for finding in found] == [WRONG_LINE]


@pytest.fixture(scope="module", params=["wheels", "in place"])
def by_mypy(request, once):
    """What mypy finds in each script, in an environment of either layout, in one run."""
    layout = {"wheels": "all_installed", "in place": "all_in_place"}[request.param]
    environment = request.getfixturevalue(layout)

    def make(folder):
        (folder / "said").write_text(mypy(environment, *put_scripts(folder)))

    said = (once(f"mypy-{layout}", make) / "said").read_text()
    found = re.findall(r"^(?:.*/)?(\w+\.py):(\d+): error: .*\[(.*)\]$", said, re.MULTILINE)
    assert len(found) == said.count(": error:"), said
    return found


def test_mypy_on_a_user_s_script(by_mypy):
    """A user's script has the one error that it has, whichever way mt-aio is installed."""
    found = [(line, code) for name, line, code in by_mypy if name == "user.py"]
    assert found == [(str(WRONG_LINE), "assignment")]


def test_mypy_on_the_calls(by_mypy):
    """What is accepted and rejected on the sources is so on what is installed, too."""
    assert {name for name, *_ in by_mypy} == {"rejected.py", "user.py"}
    found = {int(line): code for name, line, code in by_mypy if name == "rejected.py"}
    assert found == expected_errors()
