"""What a type checker says of calls to the public names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

pytestmark = pytest.mark.slow


def _mypy(name):
    """Check a file of this folder against the sources; return its errors as (line, code)."""
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(HERE / name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    errors = re.findall(rf"{re.escape(name)}:(\d+): error: .*\[([\w-]+)\]", run.stdout)
    assert len(errors) == run.stdout.count(": error:"), run.stdout
    return {(int(line), code) for line, code in errors}, run.stdout


def test_accepted_calls():
    """Each call is accepted, with exactly the stated type."""
    errors, output = _mypy("accepted.py")
    assert not errors, output


def test_rejected_calls():
    """Each mistake is found, for the stated reason."""
    lines = (HERE / "rejected.py").read_text().splitlines()
    expected = {
        (number, line.split("# error: ")[1])
        for number, line in enumerate(lines, 1)
        if "# error: " in line
    }
    errors, output = _mypy("rejected.py")
    assert errors == expected, output
