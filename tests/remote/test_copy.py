"""Copies from and to object stores."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os

import pytest

from mt.aio.core import srun
from mt.aio.fs import copy, exists, read_binary, write_binary
from mt.aio.remote import _copy, _write

LARGE = os.urandom(2 * _write.PART + 7)


@pytest.fixture
def elsewhere(fresh):
    """The URL of an empty folder in another store."""
    return f"memory://other-{fresh}/folder"


def test_within_a_store(mode, root):
    """The store makes the copy, which replaces what was there."""
    srun(write_binary, f"{root}/x", b"new")
    for _ in range(2):
        assert mode.run(copy, f"{root}/x", f"{root}/y/z") == 3
    assert srun(read_binary, f"{root}/y/z") == b"new"
    assert srun(read_binary, f"{root}/x") == b"new"


def test_between_stores(mode, root, elsewhere):
    """Between two stores the content goes through this machine."""
    srun(write_binary, f"{root}/x", b"12345")
    assert mode.run(copy, f"{root}/x", f"{elsewhere}/x") == 5
    assert mode.run(copy, f"{elsewhere}/x", f"{root}/y") == 5
    assert srun(read_binary, f"{root}/y") == b"12345"


def test_to_and_from_here(mode, root, tmp_path):
    """A file is uploaded, and an object downloaded with a mode and folders of its own."""
    (tmp_path / "x").write_bytes(b"12345")
    assert mode.run(copy, tmp_path / "x", f"{root}/x") == 5
    assert mode.run(copy, f"{root}/x", tmp_path / "a/y", 0o640, make_dirs=True) == 5
    assert (tmp_path / "a/y").read_bytes() == b"12345"
    assert (tmp_path / "a/y").stat().st_mode & 0o777 == 0o640


@pytest.mark.slow
def test_large(s3, elsewhere, tmp_path):
    """What is large goes in parts, there and back, and none is lost."""
    (tmp_path / "x").write_bytes(LARGE)
    way = [str(tmp_path / "x"), f"{s3}/x", f"{elsewhere}/x", f"{s3}/y", str(tmp_path / "y")]
    for here, there in itertools.pairwise(way):
        assert srun(copy, here, there) == len(LARGE)
    assert (tmp_path / "y").read_bytes() == LARGE


def test_what_the_store_does_not_copy(s3, monkeypatch):
    """What is too large for a store to copy in one request goes through this machine."""
    monkeypatch.setattr(_copy, "LARGEST_REQUEST", 2)
    monkeypatch.setattr(_copy, "PART", 2)
    monkeypatch.setattr("obstore.copy", None)
    srun(write_binary, f"{s3}/x", b"123")
    assert srun(copy, f"{s3}/x", f"{s3}/y") == 3
    assert srun(read_binary, f"{s3}/y") == b"123"


def test_exclusive(mode, root, elsewhere, tmp_path):
    """An exclusive copy replaces nothing, wherever it comes from and goes to."""
    (tmp_path / "x").write_bytes(b"old")
    for name in (f"{root}/x", f"{elsewhere}/x"):
        srun(write_binary, name, b"old")
    ways = [
        (f"{root}/x", f"{root}/y"),
        (f"{elsewhere}/x", f"{root}/z"),
        (str(tmp_path / "x"), f"{root}/w"),
        (f"{root}/x", str(tmp_path / "y")),
    ]
    for here, there in ways:
        assert mode.run(copy, here, there, exclusive=True) == 3
        with pytest.raises(FileExistsError) as raised:
            mode.run(copy, here, there, exclusive=True)
        assert raised.value.filename == there


def test_missing(mode, root, elsewhere, tmp_path):
    """A missing original is told by its name, and what was there stays."""
    (tmp_path / "x").write_bytes(b"old")
    for there in (f"{root}/x", f"{elsewhere}/x", str(tmp_path / "x")):
        with pytest.raises(FileNotFoundError) as raised:
            mode.run(copy, f"{root}/none", there)
        assert raised.value.filename == f"{root}/none"
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


@pytest.mark.parametrize("exclusive", [False, True])
def test_to_itself(mode, root, exclusive):
    """An object is not copied to itself."""
    srun(write_binary, f"{root}/x", b"")
    with pytest.raises(OSError, match="original itself") as raised:
        mode.run(copy, f"{root}/x", f"{root}/x", exclusive=exclusive)
    assert raised.value.errno == errno.EINVAL


def test_no_trees_and_no_devices(mode, root, tmp_path):
    """Folders and devices are refused."""
    srun(write_binary, f"{root}/x", b"")
    for here, there in (
        (str(tmp_path), f"{root}/y"),
        (f"{root}/", str(tmp_path / "y")),
        (f"{root}/x", f"{root}/"),
        (f"{root}/x", str(tmp_path)),
    ):
        with pytest.raises(IsADirectoryError):
            mode.run(copy, here, there)
    os.mkfifo(tmp_path / "fifo")
    for here, there in ((tmp_path / "fifo", f"{root}/y"), (f"{root}/x", tmp_path / "fifo")):
        with pytest.raises(OSError, match=r"FIFO|not a file"):
            mode.run(copy, here, there)
    assert not srun(exists, f"{root}/y")


def test_from_a_web_server(mode, http, root, tmp_path):
    """A file of a web server is copied; to there nothing is."""
    url = http("a b.txt", b"hello")
    assert mode.run(copy, url, f"{root}/x") == 5
    assert mode.run(copy, url, tmp_path / "x") == 5
    with pytest.raises(OSError, match="read only"):
        mode.run(copy, tmp_path / "x", url)


def test_after_what_was_issued_before(async_mode, root, tmp_path):
    """A copy comes after the writes to both names that were issued before."""

    async def body(context_vars):
        later = {"context_vars": context_vars, "file_write_delayed": True}
        for number in range(9):
            await write_binary(f"{root}/x", b"%d" % number, **later)
            await write_binary(tmp_path / "y", b"old", **later)
        await copy(f"{root}/x", tmp_path / "y", context_vars=context_vars)
        assert await read_binary(tmp_path / "y", context_vars=context_vars) == b"8"

    async_mode.run(body)


def test_cancelled(async_mode, s3, tmp_path, monkeypatch):
    """A download that is cancelled leaves what was there, and no temporary file."""
    srun(write_binary, f"{s3}/x", LARGE)
    (tmp_path / "x").write_bytes(b"old")
    real, tasks = _copy.check_cancelled, []

    async def body(context_vars):
        loop = asyncio.get_running_loop()

        def check():
            if tasks:  # in a worker thread, before the first piece
                asyncio.run_coroutine_threadsafe(cancel(tasks.pop()), loop).result()
            real()

        async def cancel(task):
            task.cancel()
            await asyncio.sleep(0)

        monkeypatch.setattr(_copy, "check_cancelled", check)
        copying = copy(f"{s3}/x", tmp_path / "x", context_vars=context_vars)
        tasks.append(asyncio.create_task(copying))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]

    async_mode.run(body)
    assert not tasks
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"
