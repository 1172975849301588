"""Copies of files and trees."""

from __future__ import annotations

import asyncio
import errno
import os
import stat

import pytest

from mt.aio.fs import _copy as implementation
from mt.aio.fs import copy


def mode_of(path):
    """Give a file's permission bits."""
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def tree(tmp_path):
    """A folder with files, folders and links in it."""
    folder = tmp_path / "tree"
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "sub" / "secret").write_bytes(b"secret")
    (folder / "sub" / "secret").chmod(0o600)
    (folder / "file").write_bytes(bytes(range(256)) * 1000)
    (folder / "link").symlink_to("sub/secret")
    (folder / "sub").chmod(0o750)
    return folder


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_file(mode, tmp_path, size):
    """A file's copy has its content and mode, and may replace another."""
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "b").write_bytes(b"old")
    assert mode.run(copy, tmp_path / "a", tmp_path / "b", durability="full") == size
    assert (tmp_path / "b").read_bytes() == content
    assert mode_of(tmp_path / "b") == 0o640
    mode.run(copy, tmp_path / "a", tmp_path / "b", 0o600)
    assert mode_of(tmp_path / "b") == 0o600
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_file_without_copy_file_range(mode, tmp_path, monkeypatch):
    """Where the system cannot copy by itself, bytes are read and written."""

    def refuse(*args):
        raise OSError(errno.EXDEV, "not between these two")

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    (tmp_path / "a").write_bytes(b"content")
    assert mode.run(copy, tmp_path / "a", tmp_path / "b") == 7
    assert (tmp_path / "b").read_bytes() == b"content"


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="needs /proc")
def test_file_that_does_not_know_its_size(mode, tmp_path):
    """A file of /proc, of size 0, is copied with what it has."""
    mode.run(copy, "/proc/version", tmp_path / "a")
    with open("/proc/version", "rb") as file:
        assert (tmp_path / "a").read_bytes() == file.read() != b""


def test_links_are_followed(mode, tmp_path):
    """The original and the place of the copy may be links, which stay."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    (tmp_path / "to-a").symlink_to("a")
    (tmp_path / "to-b").symlink_to("b")
    mode.run(copy, tmp_path / "to-a", tmp_path / "to-b")
    assert (tmp_path / "b").read_bytes() == b"a"
    assert (tmp_path / "to-b").is_symlink()
    with pytest.raises(OSError, match="original itself"):
        mode.run(copy, tmp_path / "a", tmp_path / "to-a")


def test_tree(mode, tmp_path, tree):
    """A folder's copy has all that is in it, modes and links as they are."""
    assert mode.run(copy, tree, tmp_path / "new", durability="full") == 256_006
    assert sorted(os.walk(tmp_path / "new"))[1][1:] == (["empty"], ["secret"])
    assert os.readlink(tmp_path / "new" / "link") == "sub/secret"
    assert (tmp_path / "new" / "file").read_bytes() == (tree / "file").read_bytes()
    assert mode_of(tmp_path / "new" / "sub") == 0o750
    assert mode_of(tmp_path / "new" / "sub" / "secret") == 0o600
    assert sorted(os.listdir(tmp_path)) == ["new", "tree"]


def test_something_is_there(mode, tmp_path, tree):
    """A folder's copy replaces nothing; a file's copy nothing if exclusive, and never a folder."""
    (tmp_path / "new").mkdir()
    with pytest.raises(FileExistsError):
        mode.run(copy, tree, tmp_path / "new")
    with pytest.raises(FileExistsError):
        mode.run(copy, tree / "file", tmp_path / "new", exclusive=True)
    with pytest.raises(IsADirectoryError):
        mode.run(copy, tree / "file", tmp_path / "new")
    assert os.listdir(tmp_path / "new") == []


def test_missing(mode, tmp_path, tree):
    """A missing original or folder is a FileNotFoundError; make_dirs makes the folder."""
    with pytest.raises(FileNotFoundError):
        mode.run(copy, tmp_path / "nothing", tmp_path / "new")
    for original in (tree, tree / "file"):
        new = tmp_path / original.name / "x" / "new"
        if original == tree:
            new = tmp_path / "x" / "new"
        with pytest.raises(FileNotFoundError, match="new"):
            mode.run(copy, original, new)
        mode.run(copy, original, new, make_dirs=True)
        assert new.exists()


def test_refused(mode, tmp_path, tree):
    """A folder's mode, a folder into itself, a FIFO: refused, and nothing is left."""
    with pytest.raises(ValueError, match="for the copy of a file"):
        mode.run(copy, tree, tmp_path / "new", 0o600)
    with pytest.raises(OSError, match="in the folder that it is to be a copy of"):
        mode.run(copy, tree, tree / "sub" / "new")
    os.mkfifo(tree / "fifo")
    with pytest.raises(OSError, match="neither a file nor a folder"):
        mode.run(copy, tree, tmp_path / "new")
    with pytest.raises(OSError, match="neither a file nor a folder"):
        mode.run(copy, tree / "fifo", tmp_path / "new")
    assert os.listdir(tmp_path) == ["tree"]


@pytest.mark.parametrize("what", ["tree", "file"])
@pytest.mark.parametrize("step", ["fsync", "read", "chmod", "rename"])
def test_error(mode, tree, monkeypatch, step, what):
    """An error at any step is raised, and nothing is left."""
    original = tree
    if what == "file":
        original = tree / "file"
        step = {"chmod": "fchmod", "rename": "replace"}.get(step, step)

    def fail(*args):
        raise OSError(errno.EIO, f"{step} failed")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match=f"{step} failed"):
        mode.run(copy, original, tree.parent / "new")
    monkeypatch.undo()
    assert os.listdir(tree.parent) == ["tree"]


@pytest.mark.parametrize("what", ["tree", "file"])
def test_cancelled(async_mode, tree, monkeypatch, halt, *, what):
    """A cancelled copy leaves nothing, and ends when its worker has."""
    real = implementation._transfer

    def transfer(*args):
        halt()
        return real(*args)

    monkeypatch.setattr(implementation, "_transfer", transfer)
    original = tree if what == "tree" else tree / "file"

    async def body(context_vars):
        task = asyncio.create_task(copy(original, tree.parent / "new", context_vars=context_vars))
        await halt.cancel(task)
        assert os.listdir(tree.parent) == ["tree"]

    async_mode.run(body)
