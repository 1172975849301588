"""The demo's arguments, and those that it refuses."""

from __future__ import annotations

import os
import sys

import pytest

pytestmark = pytest.mark.slow


def refused(done, argument):
    """Tell whether the demo ended with a clear error about an argument, in one line."""
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr.splitlines()[-1].startswith(
        f"stdlib_catalogue.py: error: argument {argument}"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("--limit", "0"), ("--limit", "-3"), ("--limit", "x"), ("--children", "0")],
)
def test_wrong_numbers(tmp_path, option, value, demo, files):
    """A limit or a number of children below 1 is refused before anything is written."""
    done = demo(f"{option}={value}", cwd=tmp_path)
    assert refused(done, option)
    assert value in done.stderr.splitlines()[-1]
    assert files(tmp_path) == {}


@pytest.mark.parametrize("out", ["file", "file/below", "sync-is-file"])
def test_no_folder(tmp_path, out, demo, files):
    """A file where a folder should be is refused and left alone."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "sync-is-file").mkdir()
    (tmp_path / "sync-is-file" / "sync").write_text("mine")
    before = files(tmp_path)
    done = demo("--out", tmp_path / out)
    assert refused(done, "--out")
    assert str(tmp_path / out) in done.stderr.splitlines()[-1]
    assert files(tmp_path) == before


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
@pytest.mark.parametrize("out", [".", "below"])
def test_read_only_folder(tmp_path, out, demo):
    """A folder that cannot be written to, or not be made, is refused."""
    tmp_path.chmod(0o500)
    try:
        done = demo("--out", tmp_path / out)
    finally:
        tmp_path.chmod(0o700)
    assert refused(done, "--out")
    assert "Permission denied" in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")
def test_folder_that_nobody_can_write(demo):
    """What the system refuses even to root is refused likewise."""
    assert refused(demo("--out", "/proc/catalogue"), "--out")


def test_help(demo):
    """--help names the options."""
    done = demo("--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--out", "--limit", "--children"))


def test_default_folder(tmp_path, demo):
    """Without --out it writes into a folder of the current one, and says where."""
    done = demo("--limit", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"See {tmp_path / 'out' / 'catalogue'}"
    assert (tmp_path / "out/catalogue/chart.png").is_file()
