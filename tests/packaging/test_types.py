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


@pytest.fixture(scope="module")
def typed(all_installed):
    """The environment with everything from wheels, and the stubs that go with it."""
    all_installed.uv_pip("install", "types-aiofiles")
    return all_installed


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


def mypy(environment, script):
    """Run mypy on a script as its user would, with no setting of this checkout."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull),
            *("--python-executable", environment.python, "--cache-dir", os.devnull, script),
        ],
        cwd=environment.folder,
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


def expected_errors():
    """The mistakes in rejected.py, as lines with mypy's names for them."""
    lines = (CALLS / "rejected.py").read_text().splitlines()
    return {n: line.split("# error: ")[1] for n, line in enumerate(lines, 1) if "# error: " in line}


@needs_node
def test_the_whole_public_interface_has_types(typed):
    """`pyright --verifytypes` finds each public symbol's type known, and none ambiguous."""
    found = pyright(typed, "--ignoreexternal", "--verifytypes", "mt.aio")["typeCompleteness"]
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


@needs_node
def test_pyright_accepts_what_is_to_be_accepted(typed):
    """Each call in accepted.py is accepted by pyright too, with exactly the stated type."""
    shutil.copy(CALLS / "accepted.py", typed.folder)
    found = pyright(typed, "accepted.py")
    assert [
        (d["range"]["start"]["line"] + 1, d["message"]) for d in found["generalDiagnostics"]
    ] == []
    assert found["summary"]["filesAnalyzed"] == 1


@needs_node
def test_pyright_rejects_what_is_to_be_rejected(typed):
    """Each mistake in rejected.py is one for pyright too, for the same reason."""
    shutil.copy(CALLS / "rejected.py", typed.folder)
    found = {
        finding["range"]["start"]["line"] + 1: finding.get("rule")
        for finding in pyright(typed, "rejected.py")["generalDiagnostics"]
    }
    expected = expected_errors()
    assert found.keys() == expected.keys()
    assert found == {line: RULES.get(code, found[line]) for line, code in expected.items()}


@needs_node
def test_pyright_on_a_user_s_script(typed):
    """A script that uses the installed wheels has the one error that it has."""
    (typed.folder / "user.py").write_text(USER_SCRIPT)
    found = pyright(typed, "user.py")["generalDiagnostics"]
    assert [finding["range"]["start"]["line"] + 1 for finding in found] == [WRONG_LINE]


@pytest.fixture(scope="module", params=["wheels", "in place"])
def layout(request, typed, all_in_place):
    """An environment of each layout, with stubs."""
    if request.param == "wheels":
        return typed
    all_in_place.uv_pip("install", "types-aiofiles")
    return all_in_place


def test_mypy_on_a_user_s_script(layout):
    """A user's script has the one error that it has, whichever way mt-aio is installed."""
    script = layout.folder / "user.py"
    script.write_text(USER_SCRIPT)
    found = re.findall(r"user\.py:(\d+): error: .*\[(.*)\]", mypy(layout, script))
    assert found == [(str(WRONG_LINE), "assignment")]


def test_mypy_on_the_calls(layout):
    """What is accepted and rejected on the sources is so on what is installed, too."""
    for name in ("accepted.py", "rejected.py"):
        shutil.copy(CALLS / name, layout.folder)
    assert mypy(layout, layout.folder / "accepted.py").startswith("Success")
    said = mypy(layout, layout.folder / "rejected.py")
    found = re.findall(r"rejected\.py:(\d+): error: .*\[(.*)\]", said)
    assert {int(line): code for line, code in found} == expected_errors()
