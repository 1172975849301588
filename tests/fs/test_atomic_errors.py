"""Replacing a file whole, when something fails on the way."""

from __future__ import annotations

import os

import pytest

from mt.aio.core import srun
from mt.aio.fs import _atomic, write_binary
from mt.aio.fs.lowlevel import resolve_target

STEPS = ["write", "fchmod", "fsync", "close", "replace"]


@pytest.mark.parametrize("existing", [True, False], ids=["replace", "create"])
@pytest.mark.parametrize("step", STEPS)
def test_any_failing_step_leaves_the_old_content(mode, tmp_path, monkeypatch, step, existing):
    """An error at any step is raised; the target is as it was, no temporary file is left."""
    path = tmp_path / "file"
    if existing:
        path.write_bytes(b"old")
    real = getattr(os, step)
    failed = []

    def fail(first, *args):
        name = first if isinstance(first, str) else os.readlink(f"/proc/self/fd/{first}")
        if not failed and ".mttmp" in name:
            failed.append(step)
            if step == "close":
                real(first)
            raise OSError(5, f"{step} failed")
        return real(first, *args)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match=f"{step} failed"):
        mode.run(write_binary, path, b"new", durability="full")
    assert failed == [step]
    assert [p.name for p in tmp_path.iterdir()] == (["file"] if existing else [])
    if existing:
        assert path.read_bytes() == b"old"


def test_first_error_is_the_one_raised(tmp_path, monkeypatch):
    """If removing the temporary file fails as well, the error that came first is raised."""
    real_unlink = os.unlink

    def unlink(path):
        real_unlink(path)
        raise OSError(5, "unlink failed")

    def fchmod(fd, file_mode):
        raise OSError(5, "fchmod failed")

    monkeypatch.setattr(os, "unlink", unlink)
    monkeypatch.setattr(os, "fchmod", fchmod)
    with pytest.raises(OSError, match="fchmod failed"):
        _atomic.Replacement(resolve_target(str(tmp_path / "file"))).publish("none")


def test_interrupt_is_an_error_too(tmp_path, monkeypatch):
    """Ctrl-C in the middle, in sync mode, leaves the old content and no temporary file."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(fd):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        srun(write_binary, path, b"new")
    assert path.read_bytes() == b"old"


FULL = """
import os, resource, sys
from mt.aio.core import srun
from mt.aio.fs import write_binary

path = sys.argv[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    if sys.argv[2] == "sync":
        srun(write_binary, path, bytes(20_000_000))
    else:
        import asyncio
        asyncio.run(write_binary(path, bytes(20_000_000), context_vars={"async": True}))
except OSError as exc:
    print(exc.errno)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sync", "async"])
def test_no_room_for_the_content(run_python, tmp_path, name):
    """A content that does not fit is an error; the old one stays, no temporary file is left."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert run_python(FULL, path, name) == "27"  # EFBIG, after a part was written
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root")
def test_folder_without_the_right_to_write(run_python, public_folder):
    """A read-only folder is a PermissionError that names the target."""
    path = public_folder / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(b"old")
    path.parent.chmod(0o555)
    program = """
    import os, sys
    from mt.aio.core import srun
    from mt.aio.fs import write_binary
    os.setuid(65534)
    try:
        srun(write_binary, sys.argv[1], b"new")
    except PermissionError as exc:
        print(exc.filename)
    """
    assert run_python(program, path) == str(path)
    assert path.read_bytes() == b"old"
