"""Removing what killed copies of trees have left, and what lies beside closed folders."""

from __future__ import annotations

import errno
import os
import stat
import sys

import pytest

from mt.aio.fs import _sweep as implementation
from mt.aio.fs import sweep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know a writer")

GONE = {"pid": 1, "start": "1"}
ELSEWHERE = {"pid": 1, "space": "1"}

AS_ANOTHER_USER = """
import asyncio, os, shutil, sys
from mt.aio.core import srun
from mt.aio.fs import sweep

def run(folder):
    if sys.argv[2] == "sync":
        return srun(sweep, folder, recursive=True)
    return asyncio.run(sweep(folder, recursive=True, context_vars={"async": True}))

if os.geteuid() == 0:
    run(".")  # imports what another user may not be able to read
    os.setuid(65534)
print(*run(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sync", "async"])
def test_read_only_and_closed_folders(run_python, public_folder, left_by, name):
    """What is read-only in a left folder does not keep it, nor do closed folders beside it.

    A closed folder ended the sweeping, and nobody learned what had been removed by then.
    """
    closed = [public_folder / "a", public_folder / "z"]  # one is met before the left one
    for folder in closed:
        folder.mkdir()
    left = left_by(public_folder, os.mkdir, **GONE)
    inner = os.path.join(left, "sub")
    os.mkdir(inner)
    open(os.path.join(inner, "file"), "xb").close()
    if os.geteuid() == 0:
        for path in (public_folder, left, inner):
            os.chown(path, 65534, 65534)
    os.chmod(inner, stat.S_IRUSR | stat.S_IXUSR)
    for folder in closed:
        folder.chmod(0)
    assert run_python(AS_ANOTHER_USER, public_folder, name) == left
    assert sorted(os.listdir(public_folder)) == ["a", "z"]
    for folder in closed:
        folder.chmod(stat.S_IRWXU)


def test_copy_that_goes_on_elsewhere(mode, tmp_path, left_by, monkeypatch):
    """A folder in which anything has been changed lately is not old.

    Of a large tree's copy, the folder itself is changed for the last time soon.
    """
    left = left_by(tmp_path, os.mkdir, **ELSEWHERE)
    inner = os.path.join(left, "sub")
    os.mkdir(inner)
    begun = os.stat(left).st_ctime
    while (now := os.stat(inner).st_ctime) == begun:  # the file system's clock ticks in its time
        os.chmod(inner, stat.S_IRWXU)
    with monkeypatch.context() as patch:
        patch.setattr(implementation.time, "time", lambda: now)
        assert mode.run(sweep, tmp_path, foreign_age=(now - begun) / 2) == []
    assert mode.run(sweep, tmp_path, foreign_age=0) == [left]


@pytest.mark.parametrize("code", [errno.EROFS, errno.EIO])
def test_what_may_not_be_removed(mode, tmp_path, left_by, monkeypatch, code):
    """That a file may only be read is no error, that the disk fails is."""
    left = left_by(tmp_path, **GONE)

    def fail(path):
        raise OSError(code, os.strerror(code), path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", fail)
        if code == errno.EROFS:
            assert mode.run(sweep, tmp_path) == []
        else:
            with pytest.raises(OSError, match="Input/output"):
                mode.run(sweep, tmp_path)
    assert mode.run(sweep, tmp_path) == [left]
