"""CreateFileH5: what the body of a context may do."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading

import h5py
import pytest

from mt.aio.h5 import CreateFileH5


def _content(path):
    with h5py.File(path, "r") as file:
        return {name: file[name][()].tolist() for name in file}


def _write_new(context):
    context.handle["new"] = [3]


def _write_old(path):
    with h5py.File(path, "w") as file:
        file["old"] = [1, 2]


def test_objects_left_open(enter, tmp_path):
    """Datasets, groups and attributes that the user holds on to are closed with the file."""
    path = tmp_path / "file.h5"
    kept = []

    def body(context):
        kept.append(context.handle.create_dataset("x", data=[1, 2, 3]))
        kept.append(context.handle.create_group("g"))
        kept.append(kept[1].create_dataset("y", data=[4]))

    enter(body, path)
    assert not any(kept)  # all invalid now
    with h5py.File(path, "r+") as file:
        assert file["g/y"][:].tolist() == [4]


def test_handle_closed_by_the_user(enter, tmp_path):
    """A handle that the user has closed is published all the same."""

    def body(context):
        context.handle["x"] = [1]
        context.handle.close()

    enter(body, tmp_path / "file.h5")
    assert _content(tmp_path / "file.h5") == {"x": [1]}


def test_handle_closed_by_the_user_is_used(mode, tmp_path):
    """What needs a handle that the user has closed says so."""

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "file.h5", context_vars=context_vars) as f:
            await f.write("x", [1])
            f.handle.close()
            for call in (f.write("y", [1]), f.read("x")):
                with pytest.raises(RuntimeError, match=r"file\.h5': its handle was closed"):
                    await call

    mode.run(body)
    assert _content(tmp_path / "file.h5") == {"x": [1]}


def test_handle_closed_by_the_user_and_an_error(enter, tmp_path):
    """A handle that the user has closed is removed on an error all the same."""

    def body(context):
        context.handle.close()
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        enter(body, tmp_path / "file.h5")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("durability", "expected"),
    [
        ("none", ["replace"]),
        ("atomic", ["file", "replace"]),
        ("full", ["folder above", "file", "replace", "folder"]),
    ],
)
def test_durability(enter, tmp_path, monkeypatch, durability, expected):
    """The file is flushed before the renaming, and its folder after it, as asked for.

    So is the folder above at first, as somebody else may have made the file's folder just now.
    """
    calls = []
    fsync, replace = os.fsync, os.replace
    names = {os.stat(tmp_path).st_ino: "folder", os.stat(tmp_path.parent).st_ino: "folder above"}

    def spy_fsync(fd):
        calls.append(names.get(os.fstat(fd).st_ino, "file"))
        fsync(fd)

    def spy_replace(*args):
        calls.append("replace")
        replace(*args)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    enter(_write_new, tmp_path / "x.h5", durability=durability)
    assert calls == expected


def test_enter_again(mode, tmp_path):
    """After it was left, by whatever way, the same object may be entered again."""
    path = tmp_path / "file.h5"

    async def body(context_vars):
        context = CreateFileH5(path, context_vars=context_vars)
        names = set()
        for number in range(3):
            with contextlib.suppress(LookupError):
                async with context:
                    names.add(context.tmp_filepath)
                    context.handle["x"] = [number]
                    if number == 1:
                        raise LookupError
            assert _content(path) == {"x": [2 if number == 2 else 0]}
        assert len(names) == 3

    mode.run(body)
    assert _content(path) == {"x": [2]}


def test_two_writers(mode, tmp_path):
    """Two contexts with one target: the last to end wins, and it is whole."""
    path = tmp_path / "file.h5"

    async def body(context_vars):
        async with CreateFileH5(path, context_vars=context_vars) as first:
            async with CreateFileH5(path, context_vars=context_vars) as second:
                second.handle["second"] = [2]
                first.handle["first"] = [1]
            assert _content(path) == {"second": [2]}

    mode.run(body)
    assert _content(path) == {"first": [1]}


def test_the_working_folder_changes_meanwhile(enter, tmp_path, monkeypatch):
    """A relative path means what it meant on entering."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def body(context):
        os.chdir(tmp_path / "elsewhere")
        context.handle["x"] = [1]

    enter(body, "file.h5")
    assert _content(tmp_path / "file.h5") == {"x": [1]}


def test_logger(enter, tmp_path, caplog):
    """Reference, logger: for debugging purposes."""
    logger = logging.getLogger("h5")
    with caplog.at_level(logging.DEBUG, "h5"):
        enter(_write_new, tmp_path / "file.h5", logger=logger)
        with pytest.raises(ZeroDivisionError):
            enter(lambda _: 1 / 0, tmp_path / "file.h5", logger=logger)
    lines = [record.getMessage() for record in caplog.records if record.name == "h5"]
    assert [line.split(": ")[1].split()[0] for line in lines] == [
        "being",
        "written",
        "being",
        "left",
    ]
    assert all(str(tmp_path / "file.h5") in line for line in lines)


def test_run(mode, tmp_path):
    """`run` runs HDF5 code off the loop, in order, and returns its result."""
    threads = []

    def note():
        threads.append(threading.get_ident())

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "x.h5", context_vars=context_vars) as context:
            dataset = await context.run(context.handle.create_dataset, "x", data=[1, 2, 3])
            assert dataset.shape == (3,)
            await context.run(note)
            with pytest.raises(ZeroDivisionError):
                await context.run(lambda: 1 / 0)
        with pytest.raises(RuntimeError, match="not open"):
            await context.run(note)

    mode.run(body)
    assert _content(tmp_path / "x.h5") == {"x": [1, 2, 3]}
    assert (threads[0] == threading.get_ident()) is not mode.is_async


def test_import_is_light():
    """Importing the piece imports neither h5py, nor numpy, nor asyncio."""
    code = "import sys, mt.aio.h5; print({'h5py', 'numpy', 'asyncio'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout.strip() == b"set()"
