"""Ctrl-C in synchronous mode, right after a step and before anybody knows of it.

It may come between any two instructions, but mostly comes while the system works for the process,
so it is raised right after the call that has done something.
"""

from __future__ import annotations

import os
import sys

import pytest

from mt.aio.core import srun
from mt.aio.fs import copy, json_load, json_update, symlink, write_binary
from mt.aio.fs.lowlevel import Replacement, resolve_target

if sys.platform == "win32":
    pytest.skip("locks and signals are those of POSIX", allow_module_level=True)

import fcntl


@pytest.fixture
def path(tmp_path):
    """A file with something in it."""
    path = tmp_path / "file"
    path.write_bytes(b'"old"')
    return path


@pytest.fixture
def interrupt(monkeypatch):
    """Let Ctrl-C come right after a function was called for the first time."""
    opened = []

    def interrupt(module, name, wanted=lambda *_: True):
        real = getattr(module, name)

        def call(*args, **kwargs):
            result = real(*args, **kwargs)
            if not wanted(*args):
                return result
            monkeypatch.setattr(module, name, real)
            if name == "open":
                opened.append(result)  # which nobody has heard of
            raise KeyboardInterrupt

        monkeypatch.setattr(module, name, call)

    yield interrupt
    for fd in opened:
        os.close(fd)


def is_temporary(filepath, *_):
    """Tell whether a path is that of a temporary file."""
    return str(filepath).endswith(".mttmp")


@pytest.mark.parametrize("step", ["open", "write", "fchmod", "fsync", "close", "unlink"])
def test_write(path, interrupt, step):
    """A write that is interrupted leaves the old content and no temporary file.

    It left one if Ctrl-C came while the file was being made, or removed.
    """
    interrupt(os, step, is_temporary if step in {"open", "unlink"} else lambda *_: True)
    if step == "unlink":
        interrupt(os, "write")
    with pytest.raises(KeyboardInterrupt):
        srun(write_binary, path, b'"new"')
    assert path.read_bytes() == b'"old"'
    assert os.listdir(path.parent) == ["file"]


def test_write_that_is_published(path, interrupt):
    """A write that is interrupted when it has been published is complete."""
    interrupt(os, "replace")
    with pytest.raises(KeyboardInterrupt):
        srun(write_binary, path, b'"new"')
    assert path.read_bytes() == b'"new"'
    assert os.listdir(path.parent) == ["file"]


def test_replacement_that_is_dropped(path):
    """One whose block has not begun is gone with its temporary file."""
    new = Replacement(resolve_target(str(path)))
    fd = os.dup(new.fileno())
    assert len(os.listdir(path.parent)) == 2
    del new
    os.close(fd)
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_replacement_that_a_child_drops(path):
    """A forked child that drops its copy of one leaves the parent's temporary file alone."""
    with Replacement(resolve_target(str(path))) as new:
        if (pid := os.fork()) == 0:
            try:
                new.__del__()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        os.write(new.fileno(), b'"new"')
        new.publish("none")
    assert path.read_bytes() == b'"new"'


def test_symlink(path, interrupt):
    """A link that is interrupted leaves the file and no temporary link."""
    interrupt(os, "symlink")
    with pytest.raises(KeyboardInterrupt):
        srun(symlink, "elsewhere", path, replace=True)
    assert path.read_bytes() == b'"old"'
    assert os.listdir(path.parent) == ["file"]


def test_copy_of_a_folder(tmp_path, interrupt):
    """A copy that is interrupted leaves no temporary folder."""
    (tmp_path / "folder").mkdir()
    interrupt(os, "mkdir", is_temporary)
    with pytest.raises(KeyboardInterrupt):
        srun(copy, tmp_path / "folder", tmp_path / "copy")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize(
    ("module", "step"), [(fcntl, "flock"), (os, "ftruncate"), (os, "pwrite"), (os, "unlink")]
)
def test_update(path, interrupt, module, step):
    """After an interrupted update the file can be updated: a process that lives on has no lock."""
    lock = path.parent / ".file.mtlock"
    interrupt(module, step, lambda name, *_: step != "unlink" or name == str(lock))
    with pytest.raises(KeyboardInterrupt):
        srun(json_update, path, lambda _: "new")
    assert srun(json_load, path) == ("new" if step == "unlink" else "old")
    assert srun(json_update, path, lambda word: f"{word}er", timeout=0).endswith("er")
    assert os.listdir(path.parent) == ["file"]


def test_update_between_opening_and_locking(path, interrupt):
    """Who is interrupted before he has the lock does not take it from who has it."""

    def count(number):
        interrupt(os, "open", lambda name, *_: str(name).endswith(".mtlock"))
        with pytest.raises(KeyboardInterrupt):
            srun(json_update, path, str, timeout=0)
        assert (path.parent / ".file.mtlock").exists()
        return number + 1

    path.write_text("1")
    assert srun(json_update, path, count) == 2
