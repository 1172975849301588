"""Paths at the door."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mt.aio.fs import (
    json_load,
    json_save,
    npz_load,
    npz_save,
    open_file,
    read_binary,
    read_text,
    safe_chmod,
    safe_rename,
    write_binary,
    write_text,
)
from mt.aio.fs.lowlevel import absolute, check_path, order_key


class Route:
    """An `os.PathLike` that is no `pathlib.Path`."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


CALLS = [
    (read_binary,),
    (read_text,),
    (json_load,),
    (npz_load,),
    (write_binary, b""),
    (write_text, ""),
    (json_save, {}),
    (npz_save, {}),
    (safe_chmod, 0o600),
    (safe_rename, "new"),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0].__name__)
def test_only_str_and_pathlike_are_paths(mode, call):
    """Anything but a `str` or an `os.PathLike` of one is a TypeError at the door."""
    func, *args = call
    for path in (b"bytes", 3, None, Route(b"bytes"), ["list"]):
        with pytest.raises(TypeError, match=r"filepath is a str or an os\.PathLike"):
            mode.run(func, path, *args)


@pytest.mark.parametrize("path", [b"bytes", 3, None])
def test_only_str_and_pathlike_are_streams(path):
    """open_file refuses other paths when it is called, not when it is entered."""
    with pytest.raises(TypeError, match="filepath"):
        open_file(path, "r", {"async": False})


def test_new_name_is_checked_too(mode, tmp_path):
    """safe_rename names the argument that is wrong."""
    with pytest.raises(TypeError, match="new_filepath is a str"):
        mode.run(safe_rename, tmp_path / "a", b"b")


def test_bytes_path_is_told_the_cure():
    """The error for a bytes path says how to make a str of it."""
    with pytest.raises(TypeError, match=r"os\.fsdecode"):
        check_path(b"bytes")


@pytest.mark.parametrize("kind", [str, Path, Route])
def test_all_kinds_of_paths_work(mode, tmp_path, kind):
    """A `str`, a `Path` and any other `os.PathLike` lead to the same file."""
    path = str(tmp_path / "file")
    assert mode.run(write_binary, kind(path), b"x") == 1
    assert mode.run(read_binary, kind(path)) == b"x"


def test_absolute_leaves_dots_to_the_system(tmp_path, monkeypatch):
    """A relative path is anchored, but its `..` are kept: a link may stand before them."""
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b") == os.path.join(os.getcwd(), "a/../b")
    assert absolute("") == ""
    assert absolute("/a") == "/a"


def test_order_key_ignores_spelling(tmp_path, monkeypatch):
    """Two spellings of one path are put in one order."""
    monkeypatch.chdir(tmp_path)
    assert order_key("a//b/../c") == order_key(str(tmp_path / "a" / "c"))


def test_relative_path_means_the_folder_of_the_call(async_mode, tmp_path, monkeypatch):
    """A change of the current folder after a delayed write was issued does not move the write."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    monkeypatch.chdir(tmp_path / "one")

    async def body(context_vars):
        future = await write_binary("file", b"x", 0o664, context_vars, True)
        os.chdir(tmp_path / "two")
        await future

    async_mode.run(body)
    assert (tmp_path / "one" / "file").read_bytes() == b"x"


def test_empty_path(mode):
    """An empty path is no file, for readers and writers alike."""
    with pytest.raises(FileNotFoundError):
        mode.run(read_binary, "")
    with pytest.raises(FileNotFoundError, match="path is empty"):
        mode.run(write_binary, "", b"")


def test_null_character(mode):
    """A path with a null character is refused as `open` refuses it."""
    with pytest.raises(ValueError, match="null"):
        mode.run(write_binary, "a\0b", b"")


def test_surrogate_escaped_name(mode, tmp_path):
    """A name that is no UTF-8 is written and read."""
    path = os.path.join(tmp_path, os.fsdecode(b"caf\xe9"))
    try:
        open(path, "xb").close()
    except OSError:
        pytest.skip("this file system refuses such names")
    assert mode.run(write_text, path, "x") == 1
    assert mode.run(read_text, path) == "x"
