"""Disks that are full, files that may not grow, file systems that take no writing."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess

import pytest

from mt.aio.core import srun
from mt.aio.fs import write_binary

pytestmark = pytest.mark.slow


@pytest.fixture
def small(tmp_path, mounted):
    """A file system of 2 MiB in memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    with mounted(folder, "2m"):
        yield folder


def fill(folder):
    """Leave no byte of a file system free."""
    with open(folder / "filler", "wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as exc:
                assert exc.errno == errno.ENOSPC  # noqa: PT017 - it says how full it is


def test_full_disk(server, small, new_place, job, mode_name):
    """On a full disk a write raises ENOSPC; the old content stays, and nothing is left."""
    if job == "symlink":
        pytest.skip("it takes no room in memory")
    place = new_place(small / "place", job)
    place.reset(place.before)
    fill(small)
    server.prepare(**place.order(mode=mode_name))
    server.go()
    assert server.end() == errno.ENOSPC
    assert (place.word(), place.left()) == (place.before, [])


def test_disk_that_fills_up(mode, small):
    """A write that the disk takes in part first is continued, and fails at the end of room."""
    mode.run(write_binary, small / "file", b"old")
    with pytest.raises(OSError, match="No space left") as caught:
        mode.run(write_binary, small / "file", bytes(3 * 10**6))
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(small) == ["file"]
    assert (small / "file").read_bytes() == b"old"
    mode.run(write_binary, small / "file", bytes(10**6))  # and the room is free again


def test_read_only_file_system(mode, writer_of_bytes, small):
    """A file system that is read-only is EROFS, and no more."""
    srun(write_binary, small / "file", b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(OSError, match="Read-only") as caught:
        mode.run(writer_of_bytes, small / "file", b"new")
    assert caught.value.errno == errno.EROFS
    assert (small / "file").read_bytes() == b"old"


@pytest.fixture(params=["none", "full"])
def writer_of_bytes(request):
    """Give `write_binary` with a durability."""

    async def write(path, content, context_vars):
        await write_binary(path, content, durability=request.param, context_vars=context_vars)

    return write


def test_file_that_may_not_grow(server, place, mode_name):
    """Over RLIMIT_FSIZE a write raises EFBIG; the old content stays, and nothing is left."""
    if place.job == "symlink":
        pytest.skip("a link has no size")
    place.reset(place.before)
    server.prepare(**place.order(mode=mode_name, most_bytes=64))
    server.go()
    assert server.end() == errno.EFBIG
    assert (place.word(), place.left()) == (place.before, [])


@pytest.mark.skipif(shutil.which("chattr") is None, reason="needs chattr")
def test_immutable_target(mode, tmp_path):
    """A target that not even root may replace is EPERM, stays, and nothing is left."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run(["chattr", "+i", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"chattr needs root and a file system with it: {done.stderr.strip()}")
    try:
        with pytest.raises(PermissionError):
            mode.run(write_binary, path, b"new")
        assert os.listdir(tmp_path) == ["file"]
        assert path.read_bytes() == b"old"
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
