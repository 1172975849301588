"""OpenFileH5: reading a file, and changing a copy of it that replaces it whole."""

from __future__ import annotations

import errno
import os
import stat

import h5py
import pytest

from mt.aio.h5 import CreateFileH5, OpenFileH5, _draft


@pytest.fixture
def path(tmp_path):
    """A file of somebody's."""
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["old"] = [1, 2]
    os.chmod(tmp_path / "file.h5", 0o640)
    return tmp_path / "file.h5"


def _content(path):
    with h5py.File(path, "r") as file:
        return {name: file[name][()].tolist() for name in file}


@pytest.mark.parametrize("open_mode", ["r+", "a"])
def test_change(mode, path, open_mode):
    """The file stays as it is until the context is left, and keeps its mode."""

    async def body(context_vars):
        async with OpenFileH5(path, open_mode, context_vars) as f:
            await f.write("new", [3])
            assert f.tmp_filepath.endswith(".mttmp")
            assert _content(path) == {"old": [1, 2]}

    mode.run(body)
    assert _content(path) == {"old": [1, 2], "new": [3]}
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert os.listdir(path.parent) == ["file.h5"]


def test_change_by_with(path):
    """Likewise without any mode."""
    with OpenFileH5(path, "a") as f:
        f.handle["new"] = [3]
    assert _content(path) == {"old": [1, 2], "new": [3]}


def test_create(mode, tmp_path):
    """Mode "a" creates what is not there, folders included."""

    async def body(context_vars):
        async with OpenFileH5(tmp_path / "a" / "b.h5", "a", context_vars) as f:
            await f.write("new", [3])

    mode.run(body)
    assert _content(tmp_path / "a" / "b.h5") == {"new": [3]}


@pytest.mark.parametrize("open_mode", ["r", "r+"])
def test_no_file(mode, tmp_path, open_mode):
    """The other modes want a file, and create no folder."""

    async def body(context_vars):
        async with OpenFileH5(tmp_path / "a" / "b.h5", open_mode, context_vars):
            pytest.fail("entered")

    with pytest.raises(FileNotFoundError) as caught:
        mode.run(body)
    assert caught.value.filename == str(tmp_path / "a" / "b.h5")
    assert os.listdir(tmp_path) == []


def test_error(mode, path):
    """An error in the body leaves the file as it was."""
    before = path.read_bytes()

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            await f.write("new", [3])
            raise LookupError

    with pytest.raises(LookupError):
        mode.run(body)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["file.h5"]


@pytest.mark.parametrize("change", ["replace", "in place", "remove"])
def test_changed_by_another(mode, path, change):
    """Whoever ends second gets an error instead of undoing what the first has done."""

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars) as f:
            await f.write("mine", [3])
            if change == "replace":
                async with CreateFileH5(path, context_vars=context_vars) as other:
                    await other.write("theirs", [4])
            elif change == "in place":
                with h5py.File(path, "r+") as file:
                    file["theirs"] = [4]
            else:
                path.unlink()

    with pytest.raises(OSError, match="changed by somebody else") as caught:
        mode.run(body)
    assert caught.value.errno == errno.ESTALE
    assert change == "remove" or "theirs" in _content(path)
    assert not [name for name in os.listdir(path.parent) if name.endswith(".mttmp")]


def test_readers_are_not_disturbed(mode, path):
    """A file that is being changed can be opened and stays the same for who has it open."""

    async def body(context_vars):
        with h5py.File(path, "r", locking=True) as reader:
            async with OpenFileH5(path, "a", context_vars) as f:
                await f.write("new", [3])
                with h5py.File(path, "r", locking=True) as late:
                    assert list(late) == ["old"]
            assert list(reader) == ["old"]

    mode.run(body)
    assert _content(path) == {"old": [1, 2], "new": [3]}


def test_copying_without_help_of_the_system(mode, path, monkeypatch):
    """Where there is no copy_file_range the content is copied by hand."""

    def missing(*args):
        raise OSError(errno.ENOSYS, "injected")

    monkeypatch.setattr(os, "copy_file_range", missing, raising=False)
    test_change(mode, path, "a")


def test_copying_fails(mode, path, monkeypatch):
    """A full disk while copying leaves nothing behind."""

    def full(*args):
        raise OSError(errno.ENOSPC, "injected")

    monkeypatch.setattr(_draft, "_copy_content", full)

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars):
            pytest.fail("entered")

    with pytest.raises(OSError, match="injected"):
        mode.run(body)
    assert os.listdir(path.parent) == ["file.h5"]


@pytest.mark.parametrize("open_mode", ["r", "a"])
def test_attributes(mode, path, open_mode):
    """The handle is an h5py.File, closed after the context; there is none before it."""

    async def body(context_vars):
        context = OpenFileH5(path, open_mode, context_vars)
        with pytest.raises(AttributeError, match="before it is entered"):
            _ = context.handle
        async with context as f:
            assert f is context
            assert f.handle.filename == f.tmp_filepath
            assert (f.tmp_filepath == str(path)) == (open_mode == "r")
        assert not context.handle

    mode.run(body)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((3,), TypeError), (("a.h5", "w"), ValueError), (("a.h5", "rb"), ValueError)],
)
def test_wrong_arguments(arguments, error):
    """What is wrong is said by the constructor."""
    with pytest.raises(error):
        OpenFileH5(*arguments)


def test_enter_twice(mode, path):
    """One object is one context at a time."""

    async def body(context_vars):
        async with OpenFileH5(path, context_vars=context_vars) as f:
            with pytest.raises(RuntimeError, match="is open already"):
                await f.__aenter__()
        async with f:
            assert f.handle

    mode.run(body)
