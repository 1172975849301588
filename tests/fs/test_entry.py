"""Looking at, removing and naming files and folders."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from mt.aio.core import srun
from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import (
    copy,
    exists,
    make_dirs,
    read_binary,
    remove,
    rename,
    stat,
    symlink,
    write_binary,
)

ONE_PATH = [exists, stat, remove, make_dirs]
TWO_PATHS = [rename, symlink, copy]


@pytest.mark.parametrize("func", ONE_PATH + TWO_PATHS, ids=lambda func: func.__name__)
def test_mode_is_wanted(func, tmp_path):
    """Without a mode nothing happens."""
    (tmp_path / "a").touch()
    paths = [tmp_path / "a", tmp_path / "b"][: 1 if func in ONE_PATH else 2]
    with pytest.raises(MissingModeError):
        func(*paths).send(None)
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("func", ONE_PATH + TWO_PATHS, ids=lambda func: func.__name__)
def test_path_of_a_wrong_type(mode, func):
    """A path that is none is a TypeError at the door."""
    with pytest.raises(TypeError, match=r"is a str or an os\.PathLike"):
        mode.run(func, *[3] * (1 if func in ONE_PATH else 2))


@pytest.mark.parametrize("func", [exists, stat, remove, make_dirs], ids=lambda func: func.__name__)
def test_off_the_loop(func, tmp_path, monkeypatch):
    """In asynchronous mode nothing is looked up or changed in the loop's thread."""
    (tmp_path / "a").touch()
    names = ["stat", "lstat", "unlink", "mkdir", "scandir"]
    threads = set()

    def spied(real):
        def call(*args, **kwargs):
            if str(tmp_path) in str(args[0]):
                threads.add(threading.current_thread().name)
            return real(*args, **kwargs)

        return call

    for name in names:
        monkeypatch.setattr(os, name, spied(getattr(os, name)))
    path = tmp_path / ("b" if func is make_dirs else "a")
    asyncio.run(func(path, context_vars={"async": True}))
    monkeypatch.undo()
    assert threads == {"mt-aio-worker"}


def test_exists(mode, tmp_path):
    """It tells of files, folders and links, and of what they lead to."""
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("nowhere")
    assert mode.run(exists, tmp_path / "a")
    assert mode.run(exists, tmp_path)
    assert not mode.run(exists, tmp_path / "b")
    assert not mode.run(exists, tmp_path / "a" / "below a file")
    assert not mode.run(exists, tmp_path / "link")
    assert mode.run(exists, tmp_path / "link", follow_links=False)


def test_exists_does_not_guess(mode, tmp_path):
    """Where the system does not say, exists raises instead of answering."""
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="symbolic links"):
        mode.run(exists, tmp_path / "link")


def test_stat(mode, tmp_path):
    """Stat is os.stat, or os.lstat."""
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    assert mode.run(stat, tmp_path / "link").st_size == 3
    seen = mode.run(stat, tmp_path / "link", follow_links=False)
    assert seen == os.lstat(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        mode.run(stat, tmp_path / "b")


def test_remove(mode, tmp_path):
    """Remove removes a file, and a link but not what it leads to."""
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    mode.run(remove, tmp_path / "link", tree=True)
    assert os.listdir(tmp_path) == ["a"]
    mode.run(remove, tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        mode.run(remove, tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        mode.run(remove, tmp_path / "a", tree=True)
    mode.run(remove, tmp_path / "a", missing_ok=True)


def test_remove_tree(mode, tmp_path):
    """A folder goes only with tree=True, then whole; links in it are not followed."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    folder = tmp_path / "a"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "file").touch(0o400)
    (folder / "b" / "link").symlink_to(tmp_path / "kept")
    wanted = IsADirectoryError if sys.platform == "linux" else PermissionError
    with pytest.raises(wanted):
        mode.run(remove, folder)
    mode.run(remove, f"{folder}/", tree=True)
    (tmp_path / "link").symlink_to("kept")
    mode.run(remove, f"{tmp_path}/link/", tree=True)  # what it leads to was emptied once
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["file"]


def test_make_dirs(mode, tmp_path):
    """make_dirs makes all that is missing, and is content with what is there."""
    for _ in range(2):
        mode.run(make_dirs, tmp_path / "a" / "b" / "c", durability="full")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        mode.run(make_dirs, tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        mode.run(make_dirs, tmp_path / "file" / "a")
    with pytest.raises(ValueError, match="durability is"):
        mode.run(make_dirs, tmp_path / "d", durability="safe")


def test_rename(mode, tmp_path):
    """Rename is safe_rename: a file is replaced, a folder never."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    (tmp_path / "c").mkdir()
    mode.run(rename, tmp_path / "a", tmp_path / "b", durability="full")
    assert (tmp_path / "b").read_bytes() == b"a"
    with pytest.raises(IsADirectoryError):
        mode.run(rename, tmp_path / "b", tmp_path / "c")
    with pytest.raises(FileNotFoundError):
        mode.run(rename, tmp_path / "a", tmp_path / "d")


def test_symlink(mode, tmp_path):
    """A link says what it was told to, and takes no name that is taken."""
    mode.run(symlink, "nowhere", tmp_path / "link", durability="full")
    assert os.readlink(tmp_path / "link") == "nowhere"
    with pytest.raises(FileExistsError):
        mode.run(symlink, "b", tmp_path / "link")
    assert os.readlink(tmp_path / "link") == "nowhere"


def test_symlink_replaces(mode, tmp_path):
    """With replace=True a link or file is replaced, a folder refused, and nothing is left."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("link", "file", "new"):
        mode.run(symlink, "somewhere", tmp_path / name, replace=True)
        assert os.readlink(tmp_path / name) == "somewhere"
    (tmp_path / "folder").mkdir()
    for wrong, error in (("folder", IsADirectoryError), ("missing/link", FileNotFoundError)):
        with pytest.raises(error) as caught:
            mode.run(symlink, "a", tmp_path / wrong, replace=True)
        assert caught.value.filename == str(tmp_path / wrong)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link", "new"]


def test_they_come_after_pending_writes(async_mode, tmp_path):
    """What changes a path waits for the writes to it that were issued before."""

    async def body(context_vars):
        async def write(name):
            return await write_binary(tmp_path / name, bytes(10**6), 0o664, context_vars, True)

        future = await write("a")
        await remove(tmp_path / "a", context_vars=context_vars)
        assert future.done()
        future = await write("b")
        await copy(tmp_path / "b", tmp_path / "c", context_vars=context_vars)
        assert future.done()
        future = await write("b")
        await rename(tmp_path / "b", tmp_path / "d", context_vars=context_vars)
        assert future.done()

    async_mode.run(body)
    assert sorted(os.listdir(tmp_path)) == ["c", "d"]


def test_one_body_for_both_modes(mode, tmp_path):
    """An asyn function of them runs in both modes."""

    async def body(context_vars):
        folder = tmp_path / "x"
        await make_dirs(folder, context_vars=context_vars)
        await write_binary(folder / "a", b"1", context_vars=context_vars)
        await symlink("a", folder / "now", context_vars=context_vars)
        assert await read_binary(folder / "now", context_vars=context_vars) == b"1"
        await remove(folder, tree=True, context_vars=context_vars)
        return await exists(folder, context_vars=context_vars)

    assert mode.run(body) is False


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the threads' names")
def test_sync_mode_needs_no_thread(tmp_path):
    """In synchronous mode it all happens in the calling thread."""
    before = threading.active_count()
    srun(make_dirs, tmp_path / "a")
    srun(remove, tmp_path / "a", tree=True)
    assert threading.active_count() == before
