"""A rehearsal of scripts/release, in a copy of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

# Stands in for scripts/hatch, which would make environments first: runs the tools of the
# environment that the tests run in, and keeps a list of what it was asked.
HATCH = """#!/bin/sh
set -eu
echo "$*" >>"$RECORD"
case $1 in
build) for member in packages/*; do
    (cd "$member" && "$PYTHON" -m hatchling build -d ../../dist)
done ;;
run)
    tool=${2#check:}
    shift 2
    case $tool in
    all) ;;
    python) exec "$PYTHON" "$@" ;;
    check-wheel-contents) exec "$PYTHON" -m check_wheel_contents "$@" ;;
    *) exec "$PYTHON" -m "$tool" "$@" ;;
    esac
    ;;
esac
"""


@pytest.fixture
def checkout(tmp_path, run):
    """A clone of the checkout as it stands, with one fragment at least and the stand-in."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".git", ".hatch", "dist", "site", ".*_cache", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    (copy / "scripts" / "hatch").write_text(HATCH)
    (copy / "changes" / "+rehearsal.added.md").write_text("`mt-aio`: a rehearsal.\n")
    git(run, copy, "init", "--quiet")
    git(run, copy, "add", "--all")
    git(run, copy, "commit", "--quiet", "--message", "Start")
    return copy


def git(run, folder, *arguments):
    """Run git with a name of its own."""
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return run("git", *who, "-C", folder, *arguments)


def release(checkout, *arguments):
    """Run the script there; give how it ended and what the stand-in was asked."""
    record = checkout.parent / "record"
    record.write_text("")
    env = os.environ | {"RECORD": str(record), "PYTHON": sys.executable, "NO_COLOR": "1"}
    done = subprocess.run(
        [checkout / "scripts" / "release", *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    return done, record.read_text().splitlines()


def test_a_release(checkout, members, run):
    """Version, pins, changelog and archives of the new version; nothing committed."""
    done, asked = release(checkout, "77.0.1")
    assert done.returncode == 0, done.stderr
    assert (checkout / "VERSION").read_text() == "77.0.1\n"
    changelog = (checkout / "CHANGELOG.md").read_text()
    assert "## 77.0.1 (" in changelog
    assert "- `mt-aio`: a rehearsal." in changelog
    assert [path.name for path in (checkout / "changes").iterdir()] == ["README.md"]
    built = {path.name for path in (checkout / "dist").iterdir() if path.name[0] != "."}
    names = [name.replace("-", "_") for name in members]
    assert built == {f"{name}-77.0.1-py3-none-any.whl" for name in names} | {
        f"{name}-77.0.1.tar.gz" for name in names
    }
    steps = [line.split()[:2] for line in asked]
    assert steps == [
        ["run", "check:python"],
        ["run", "check:towncrier"],
        ["run", "check:all"],
        ["build", "--all"],
        ["run", "check:twine"],
        ["run", "check:check-wheel-contents"],
    ]
    assert git(run, checkout, "log", "--format=%s").splitlines() == ["Start"]


def test_a_release_of_uncommitted_changes(checkout):
    """With changes that are not committed nothing is done: they would get into the release."""
    (checkout / "README.md").write_text("changed")
    done, asked = release(checkout, "77.0.1")
    assert done.returncode == 1
    assert "commit or stash" in done.stderr
    assert not asked


@pytest.mark.parametrize("arguments", [[], ["1.2.3", "1.2.4"], ["1.2"]])
def test_a_release_of_no_version(checkout, arguments):
    """Without one version of three numbers nothing is changed."""
    done, _ = release(checkout, *arguments)
    assert done.returncode != 0
    assert (checkout / "VERSION").read_text() == (ROOT / "VERSION").read_text()
    assert not (checkout / "dist").exists()


def test_the_hooks_are_local():
    """The pre-commit hooks run this checkout's own scripts and fetch nothing."""
    lines = (ROOT / ".pre-commit-config.yaml").read_text().splitlines()
    assert [line.split()[-1] for line in lines if "repo:" in line] == ["local"]
    entries = [line.split(maxsplit=1)[1] for line in lines if line.strip().startswith("entry:")]
    assert "scripts/check" in entries
    assert (ROOT / "scripts" / "check").stat().st_mode & 0o111
