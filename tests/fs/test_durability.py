"""What is flushed, and when."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys

import pytest

from mt.aio.core import srun
from mt.aio.fs import _durability, _folder, copy, rename, safe_rename, symlink, write_binary
from mt.aio.fs.lowlevel import durability_of, make_folders

EXPECTED = {
    "none": ["replace"],
    "atomic": ["fsync file", "replace"],
    "full": ["fsync file", "replace", "fsync folder"],
}


@pytest.fixture
def calls(monkeypatch):
    """Record the flushing and renaming calls, in their order."""
    seen = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(fd):
        seen.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "fsync file")
        real_fsync(fd)

    def replace(source, target):
        seen.append("replace")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return seen


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


@needs_proc
@pytest.mark.parametrize("durability", EXPECTED)
def test_order_of_flushing(mode, writer, tmp_path, calls, durability):
    """The file is flushed before the rename, the folder after it, for a new and an old target."""
    func, content = writer
    for _ in range(2):
        mode.run(func, tmp_path / "file", content, durability=durability)
        assert calls == EXPECTED[durability]
        calls.clear()


@needs_proc
def test_atomic_is_the_default(mode, writer, tmp_path, calls):
    """Without a choice a write is atomic across a power cut."""
    func, content = writer
    mode.run(func, tmp_path / "file", content)
    assert calls == EXPECTED["atomic"]


@needs_proc
@pytest.mark.parametrize("durability", EXPECTED)
def test_choice_for_a_call_tree(tmp_path, calls, durability):
    """context_vars["durability"] holds where a call makes no choice of its own."""
    extra = {"durability": durability}
    srun(write_binary, tmp_path / "file", b"", extra_context_vars=extra)
    assert calls == EXPECTED[durability]
    calls.clear()
    srun(write_binary, tmp_path / "file", b"", extra_context_vars=extra, durability="none")
    assert calls == EXPECTED["none"]


def test_unknown_choice(mode, writer, tmp_path):
    """An unknown durability is a ValueError that lists the three, and nothing is written."""
    func, content = writer
    with pytest.raises(ValueError, match='"none", "atomic" or "full", not \'safe\''):
        mode.run(func, tmp_path / "file", content, durability="safe")
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("choice", ["", "FULL", True, 0, ["full"]])
def test_unknown_choice_for_a_call_tree(choice):
    """A wrong context_vars["durability"] is found, too."""
    with pytest.raises(ValueError, match="durability is"):
        durability_of({"async": True, "durability": choice})


@needs_proc
@pytest.mark.parametrize("durability", EXPECTED)
def test_renaming(mode, tmp_path, calls, durability):
    """safe_rename flushes the file before, and the folders after, likewise."""
    (tmp_path / "a").write_bytes(b"x")
    mode.run(safe_rename, tmp_path / "a", tmp_path / "b", durability=durability)
    assert calls == EXPECTED[durability]


@needs_proc
def test_renaming_between_folders(mode, tmp_path, calls):
    """With "full" both folders are flushed."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"x")
    mode.run(safe_rename, tmp_path / "a", tmp_path / "sub" / "b", durability="full")
    assert calls == [*EXPECTED["full"], "fsync folder"]


@pytest.fixture
def flushed(monkeypatch):
    """Record the paths of what is flushed."""
    seen = []
    monkeypatch.setattr(
        _durability, "_flush_now", lambda fd: seen.append(os.readlink(f"/proc/self/fd/{fd}"))
    )
    return seen


@needs_proc
def test_slash_at_the_end(mode, tmp_path, flushed):
    """The slash at the end of a folder's path does not make it the folder that is flushed."""
    (tmp_path / "a").mkdir()
    mode.run(safe_rename, f"{tmp_path}/a/", f"{tmp_path}/b/", durability="full")
    assert flushed == [str(tmp_path)]
    assert os.listdir(tmp_path) == ["b"]


@needs_proc
def test_new_folders_are_flushed(tmp_path, flushed, monkeypatch):
    """With "full" the entry of each new folder is flushed, before anything is made in it."""
    make_folders(str(tmp_path / "a" / "b"), "atomic")
    assert flushed == []
    monkeypatch.setattr(
        os, "mkdir", lambda path, _, real=os.mkdir: flushed.append(path) or real(path)
    )
    make_folders(str(tmp_path / "c" / "d"), "full")
    made = [str(tmp_path / "c"), str(tmp_path / "c" / "d")]
    assert flushed[1:] == [made[0], str(tmp_path), made[1], made[0]]


@needs_proc
def test_folder_made_just_now(tmp_path, flushed, monkeypatch):
    """With "full" a folder that is there is flushed, too: its maker may not have come to that yet.

    Two writers that wanted the same new folder both reported success when one had flushed nothing
    but the file's own folder.
    """
    (tmp_path / "new").mkdir()
    make_folders(str(tmp_path / "new"), "full")
    assert flushed == [str(tmp_path)]
    no_folder(monkeypatch, tmp_path)
    make_folders(str(tmp_path / "new"), "full")
    with pytest.raises(PermissionError):
        make_folders(str(tmp_path / "newer"), "full")
    (tmp_path / "file").touch()
    for durability in EXPECTED:
        with pytest.raises(FileExistsError):
            make_folders(str(tmp_path / "file"), durability)
        with pytest.raises(NotADirectoryError):
            make_folders(str(tmp_path / "file" / "a"), durability)
        make_folders("", durability)  # the current one


@needs_proc
def test_folder_in_one_that_cannot_be_flushed(tmp_path, monkeypatch):
    """A folder that is there may lie in one on no disk, as homes do in autofs; EIO is an error."""
    make_folders("/proc/self", "full")

    def fail(fd):
        raise OSError(errno.EIO, "flush failed")

    monkeypatch.setattr(_durability, "_flush_now", fail)
    with pytest.raises(OSError, match="flush failed"):
        make_folders(str(tmp_path), "full")


def no_folder(monkeypatch, forbidden):
    """Let nobody open a folder."""
    real = _folder.open_folder

    def refuse(folder):
        if folder == str(forbidden):
            raise PermissionError(13, "Permission denied", folder)
        return real(folder)

    monkeypatch.setattr(_folder, "open_folder", refuse)


@pytest.mark.parametrize("func", [rename, copy, symlink], ids=lambda func: func.__name__)
def test_folder_that_may_not_be_opened(mode, tmp_path, monkeypatch, func):
    """With "full" a folder that cannot be flushed is found out before anything has happened."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    no_folder(monkeypatch, tmp_path)
    with pytest.raises(PermissionError):
        mode.run(func, tmp_path / "a", tmp_path / "new", durability="full")
    assert os.listdir(tmp_path) == ["a"]


def test_failed_flush_is_not_repeated(mode, tmp_path, monkeypatch):
    """A failed flush is raised, never tried again; the old content stays."""
    (tmp_path / "file").write_bytes(b"old")
    tries = []

    def fsync(fd):
        tries.append(fd)
        raise OSError(5, "flush failed")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="flush failed"):
        mode.run(write_binary, tmp_path / "file", b"new")
    assert len(tries) == 1
    assert (tmp_path / "file").read_bytes() == b"old"


@needs_proc
def test_failed_flush_of_the_folder(mode, tmp_path, monkeypatch):
    """If flushing the folder fails, the error is raised with the new content in place."""
    real_fsync = os.fsync

    def fsync(fd):
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(5, "flush failed")
        real_fsync(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="flush failed"):
        mode.run(write_binary, tmp_path / "file", b"new", durability="full")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_folder_that_cannot_be_flushed(mode, tmp_path, monkeypatch):
    """If the folder cannot be opened for flushing, that is found before anything is replaced."""
    (tmp_path / "file").write_bytes(b"old")
    real_open = os.open

    def refuse(path, flags, *args):
        if flags & os.O_DIRECTORY:
            raise PermissionError(13, "folder is not readable")
        return real_open(path, flags, *args)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match="not readable"):
        mode.run(write_binary, tmp_path / "file", b"new", durability="full")
    assert (tmp_path / "file").read_bytes() == b"old"


TRACED = """
import sys
from mt.aio.core import srun
from mt.aio.fs import write_binary
path, mode, durability = sys.argv[1:]
if mode == "sync":
    srun(write_binary, path, b"content", durability=durability)
else:
    import asyncio
    asyncio.run(write_binary(path, b"content", context_vars={"async": True}, durability=durability))
"""

TRACED_CALLS = "openat,write,fchmod,fsync,fdatasync,close,rename,renameat,renameat2"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("name", ["sync", "async"])
@pytest.mark.parametrize("durability", EXPECTED)
def test_system_calls(tmp_path, name, durability):
    """The system sees: temporary file made 0600, write, mode, flush, close, rename, flush."""
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    traced = [sys.executable, "-c", TRACED, str(folder / "file"), name, durability]
    strace = ["strace", "-f", "-y", "-o", str(log), "-e", f"trace={TRACED_CALLS}"]
    done = subprocess.run([*strace, *traced], capture_output=True, text=True, check=False)
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip("tracing is not allowed here")
    assert done.returncode == 0, done.stderr
    seen = []
    for line in log.read_text().splitlines():
        found = re.search(r"\d+ +(\w+)\(", line)
        if found and str(folder) in line:
            seen.append((found[1], ".mttmp" in line, line))
    names = [call for call, _, _ in seen]
    flush, folder_flush = ["fsync"], ["openat", "rename", "fsync", "close"]
    expected = ["openat", "write", "fchmod", *(flush if durability != "none" else []), "close"]
    expected += folder_flush if durability == "full" else ["rename"]
    assert names == expected
    assert "O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600" in seen[0][2]
    if durability != "none":
        assert seen[3][1], "it is the temporary file that is flushed"
