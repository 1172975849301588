"""safe_chmod and safe_rename."""

from __future__ import annotations

import asyncio
import inspect
import os
import stat

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import safe_chmod, safe_rename


def test_signatures():
    """Reference, safe_chmod and safe_rename: names, order and defaults of the arguments."""
    chmod = list(inspect.signature(safe_chmod).parameters.values())
    assert [(p.name, p.default) for p in chmod[:2]] == [
        ("filepath", inspect.Parameter.empty),
        ("file_mode", 0o664),
    ]
    assert [p.kind for p in chmod[2:]] == [inspect.Parameter.KEYWORD_ONLY]
    rename = list(inspect.signature(safe_rename).parameters.values())
    assert [p.name for p in rename[:3]] == ["filepath", "new_filepath", "context_vars"]
    assert rename[2].default == {}
    assert [p.kind for p in rename[3:]] == [inspect.Parameter.KEYWORD_ONLY]


def test_chmod(mode, tmp_path):
    """The mode is set; 0o664 by default."""
    path = tmp_path / "file"
    path.touch()
    assert mode.run(safe_chmod, path, 0o600) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    mode.run(safe_chmod, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_callable_without_context_vars(tmp_path):
    """Published callers await both without context_vars, or with empty ones."""
    (tmp_path / "a").touch()

    async def main():
        await safe_chmod(tmp_path / "a", 0o600)
        await safe_chmod(tmp_path / "a", 0o640, context_vars={})
        await safe_rename(tmp_path / "a", tmp_path / "b")
        await safe_rename(tmp_path / "b", tmp_path / "c", {})

    asyncio.run(main())
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o640


def test_context_vars_without_a_mode(tmp_path):
    """context_vars that say something, but not the mode, are an error."""
    with pytest.raises(MissingModeError):
        safe_chmod(tmp_path / "a", 0o600, context_vars={"x": 1}).send(None)
    with pytest.raises(MissingModeError):
        safe_rename(tmp_path / "a", tmp_path / "b", {"x": 1}).send(None)


def test_missing_file(mode, tmp_path):
    """A missing file is a FileNotFoundError at once: nobody waits for it to appear."""
    with pytest.raises(FileNotFoundError):
        mode.run(safe_chmod, tmp_path / "missing", 0o600)
    for durability in ("none", "atomic", "full"):
        with pytest.raises(FileNotFoundError):
            mode.run(safe_rename, tmp_path / "missing", tmp_path / "b", durability=durability)


@pytest.mark.parametrize("file_mode", [None, "664", 1.5])
def test_wrong_mode(mode, tmp_path, file_mode):
    """A mode that is none is a TypeError."""
    with pytest.raises(TypeError, match="mode"):
        mode.run(safe_chmod, tmp_path / "file", file_mode)


def test_mode_out_of_range(mode, tmp_path):
    """A mode out of range is a ValueError."""
    with pytest.raises(ValueError, match="octal"):
        mode.run(safe_chmod, tmp_path / "file", 0o77777)


def test_rename(mode, tmp_path):
    """The file has its new name only."""
    (tmp_path / "a").write_bytes(b"x")
    assert mode.run(safe_rename, tmp_path / "a", str(tmp_path / "b")) is None
    assert (tmp_path / "b").read_bytes() == b"x"
    assert not (tmp_path / "a").exists()


def test_rename_over_a_file(mode, tmp_path):
    """An existing file of the new name is replaced."""
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    mode.run(safe_rename, tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"new"


def test_rename_a_folder(mode, tmp_path):
    """A folder gets a new name, too."""
    (tmp_path / "a").mkdir()
    mode.run(safe_rename, tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path) == ["b"]


@pytest.mark.parametrize("source", ["file", "folder"])
def test_rename_over_a_folder(mode, tmp_path, source):
    """An existing folder, also an empty one, is never replaced."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "target").mkdir()
    with pytest.raises(IsADirectoryError, match="never replaced"):
        mode.run(safe_rename, tmp_path / source, tmp_path / "target")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "target"]


def test_rename_a_link(mode, tmp_path):
    """A link is renamed itself, also one to nothing."""
    (tmp_path / "a").symlink_to("nothing")
    mode.run(safe_rename, tmp_path / "a", tmp_path / "b")
    assert os.readlink(tmp_path / "b") == "nothing"


def test_rename_into_a_missing_folder(mode, tmp_path):
    """A missing folder is the system's error, and the file keeps its name."""
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError):
        mode.run(safe_rename, tmp_path / "a", tmp_path / "missing" / "b")
    assert (tmp_path / "a").exists()


def test_unknown_durability(mode, tmp_path):
    """An unknown durability is a ValueError that lists the three."""
    with pytest.raises(ValueError, match='"none", "atomic" or "full"'):
        mode.run(safe_rename, tmp_path / "a", tmp_path / "b", durability="yes")


def test_unreadable_file(tmp_path, monkeypatch):
    """If a file may not be opened for flushing, the error says how to do without."""
    from mt.aio.core import srun

    (tmp_path / "a").touch()
    real_open = os.open

    def refuse(path, *args):
        if path == str(tmp_path / "a"):
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *args)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError) as caught:
        srun(safe_rename, tmp_path / "a", tmp_path / "b")
    assert "durability='none'" in caught.value.__notes__[0]
    srun(safe_rename, tmp_path / "a", tmp_path / "b", durability="none")
    assert (tmp_path / "b").exists()
