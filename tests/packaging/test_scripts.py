"""What scripts/test asks for, in a copy of the scripts with a stand-in for hatch."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKERS = os.sysconf("SC_NPROCESSORS_ONLN") + 1

# Notes what it is asked, one argument a line, and fails if it is told to.
HATCH = """#!/bin/sh
printf '%s\\n' "$@" end >>"$RECORD"
exit "${STATUS:-0}"
"""

# Stands in for scripts/pythons, which starts all that it finds.
PYTHONS = """#!/bin/sh
echo '3.12 /usr/bin/python3.12'
[ "$1" = --first ] || echo '3.13 /opt/python/bin/python3.13'
"""


@pytest.fixture
def asked(tmp_path):
    """Run scripts/test there; give how it ended, and the commands that it ran."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "scripts" / "hatch").write_text(HATCH)
    (tmp_path / "scripts" / "pythons").write_text(PYTHONS)
    record = tmp_path / "record"

    def run(*arguments, status=0):
        record.write_text("")
        env = os.environ | {"RECORD": str(record), "STATUS": str(status)}
        command = [tmp_path / "scripts" / "test", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        commands = [part.split("\n") for part in record.read_text().split("\nend\n")[:-1]]
        return done, commands

    return run


def test_the_arguments_are_pytest_s(asked):
    """They come last, so that they count, and words with spaces stay whole."""
    done, (command,) = asked("tests/fs", "-k", "atomic or json", "-n", "0")
    assert done.returncode == 0, done.stderr
    assert command[:2] == ["run", "test.py3.12:python"]
    assert command[2:] == [
        *("-m", "pytest", "-n", str(WORKERS), "--dist", "worksteal"),
        *("tests/fs", "-k", "atomic or json", "-n", "0"),
    ]


def test_workers_are_as_strict(asked):
    """--strict hands the interpreter's options to the workers, too; then comes -O."""
    done, (strict, optimized) = asked("--strict", "tests/fs")
    assert done.returncode == 0, done.stderr
    assert {"PYTHONDEVMODE=1", "PYTHONASYNCIODEBUG=1"} <= set(strict)
    for command, options in ((strict, "-X dev -W error"), (optimized, "-O")):
        begin = command.index("python") + 1
        assert " ".join(command[begin : command.index("-m")]) == options
        workers = command[command.index("--tx") + 1]
        assert workers == f"{WORKERS}*popen//python=python {options}"
        assert command[-1] == "tests/fs"
    assert {"PYTHONDEVMODE=", "PYTHONASYNCIODEBUG="} <= set(optimized)


def test_coverage(asked):
    """Old data goes first; the report, which fails below the minimum, comes last."""
    done, commands = asked("--coverage")
    assert done.returncode == 0, done.stderr
    assert [command[1].split(":")[1] for command in commands] == ["coverage"] * 4
    assert [command[2] for command in commands] == ["erase", "run", "combine", "report"]


def test_all_pythons(asked):
    """--all goes on after a Python that fails, and tells which did."""
    done, commands = asked("--all", status=1)
    assert [command[1] for command in commands] == ["test.py3.12:python", "test.py3.13:python"]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "scripts/test: failed on Python 3.12 3.13"


def test_a_failure_is_told(asked):
    """The status of a failed run is not 0, and --strict does not go on."""
    done, commands = asked("--strict", status=1)
    assert done.returncode == 1
    assert len(commands) == 1
