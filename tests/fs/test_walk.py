"""Going through trees."""

from __future__ import annotations

import asyncio
import os
import threading
from types import SimpleNamespace

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import _walk as implementation
from mt.aio.fs import walk


@pytest.fixture
def tree(tmp_path):
    """A folder with folders, files and links in it."""
    for name in ("b/c/d", "a", "e"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    return tmp_path


async def _all(*args, **kwargs):
    return [found async for found in walk(*args, **kwargs)]


def _expected(folder):
    found = []
    for path, folders, files in os.walk(folder):
        folders.sort()  # which is also the order in which os.walk goes on
        found.append((path, list(folders), sorted(files)))
    return found


@pytest.mark.parametrize("names", [1, 3, 2000])
def test_finds_what_os_walk_finds(mode, tree, monkeypatch, names):
    """The folders come in the order of os.walk, whatever fits into a hop."""
    monkeypatch.setattr(implementation, "_NAMES", names)
    assert mode.run(_all, str(tree)) == _expected(tree)


def test_relative_path(mode, tree, monkeypatch):
    """Paths begin with the folder as given, which a later chdir cannot move."""
    monkeypatch.chdir(tree.parent)
    monkeypatch.setattr(implementation, "_NAMES", 1)

    async def body(context_vars):
        found = []
        async for path, _, _ in walk(tree.name, context_vars=context_vars):
            os.chdir("/")
            found.append(path)
        return found

    names = mode.run(body)
    monkeypatch.chdir(tree.parent)
    assert names == [path for path, _, _ in _expected(tree.name)]


def test_enter(mode, tree):
    """What `enter` refuses is listed and not entered."""
    found = mode.run(_all, tree, enter=lambda path: not path.endswith("c"))
    assert [os.path.relpath(path, tree) for path, _, _ in found] == [".", "a", "b", "e"]
    assert found[2][1] == ["c"]


def test_missing_folder(mode, tree):
    """A missing folder is an error, one that vanishes on the way is none."""
    with pytest.raises(FileNotFoundError):
        mode.run(_all, tree / "nothing")
    with pytest.raises(NotADirectoryError):
        mode.run(_all, tree / "a" / "file")

    def enter(path):
        if path.endswith("e"):
            (tree / "e" / "file").unlink()
            (tree / "e").rmdir()
        return True

    assert len(mode.run(_all, tree, enter=enter)) == 5


def test_errors_are_raised(mode, tree, monkeypatch):
    """Where the system refuses to list a folder, that is raised, not left out."""
    real = os.scandir

    def scandir(path):
        if path.endswith("c"):
            raise PermissionError(13, "not allowed", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        mode.run(_all, tree)


def test_unknown_kind():
    """That the system does not say what a name stands for is an error, unless it is a link."""
    entry = SimpleNamespace(is_dir=lambda: os.stat(""), is_symlink=lambda: False)
    with pytest.raises(FileNotFoundError):
        implementation._is_folder(entry)
    entry.is_symlink = lambda: True
    assert implementation._is_folder(entry) is False


def test_wrong_arguments(mode, tree):
    """A path that is none, and a missing mode, are said when the walk begins."""
    with pytest.raises(TypeError, match="folder is a str"):
        mode.run(_all, b"bytes")
    with pytest.raises(MissingModeError):
        walk(tree).__anext__().send(None)


def test_back_pressure(mode, tree, monkeypatch):
    """No folder is read before the ones before it have been used up."""
    monkeypatch.setattr(implementation, "_NAMES", 1)
    read = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: read.append(path) or real(path))

    async def body(context_vars):
        count = 0
        async for _ in walk(tree, context_vars=context_vars):
            count += 1
            assert len(read) == count

    mode.run(body)


def test_stopped_early(mode, tree):
    """A walk that is left early, or closed, leaves nothing behind."""

    async def body(context_vars):
        paths = walk(tree, context_vars=context_vars)
        path, _, _ = await anext(paths)
        await paths.aclose()
        return path

    assert mode.run(body) == str(tree)


def test_off_the_loop_and_cancelled(async_mode, tree, monkeypatch, halt):
    """Folders are read in a worker thread; a cancellation ends the wait at once."""
    threads = []
    real = os.scandir

    def scandir(path):
        threads.append(threading.current_thread().name)
        halt()
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)

    async def body(context_vars):
        task = asyncio.create_task(_all(tree, context_vars=context_vars))
        await halt.reached()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        halt.go_on()

    async_mode.run(body)
    assert set(threads) == {"mt-aio-worker"}
