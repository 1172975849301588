"""What sibling pieces build on."""

from __future__ import annotations

import asyncio
import os
import stat

import pytest

from mt.aio.core.lowlevel import offload
from mt.aio.fs import lowlevel
from mt.aio.fs.lowlevel import Replacement, Target, read_file, resolve_target, write_all, write_file


def test_all_is_there():
    """Every name in __all__ exists, and says that it lives here."""
    for name in lowlevel.__all__:
        member = getattr(lowlevel, name)
        if callable(member) and name != "Durability":
            assert member.__module__ == "mt.aio.fs.lowlevel"


def test_written_by_its_name(tmp_path):
    """A library that writes by name gets a private file that it may truncate and write."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    new = Replacement(resolve_target(str(path)), 0o640)
    new.close()
    assert stat.S_IMODE(os.stat(new.tmp_filepath).st_mode) == 0o600
    assert os.path.dirname(new.tmp_filepath) == str(tmp_path)
    with open(new.tmp_filepath, "wb") as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    new.publish("full")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_discarded(tmp_path):
    """A discarded replacement did not happen, however often it is discarded."""
    new = Replacement(resolve_target(str(tmp_path / "file")))
    write_all(new.fileno(), b"x")
    new.discard()
    new.discard()
    assert not os.listdir(tmp_path)


def test_discarding_what_was_published(tmp_path):
    """Discarding after publishing changes nothing."""
    new = Replacement(resolve_target(str(tmp_path / "file")))
    new.publish("none")
    new.discard()
    assert os.listdir(tmp_path) == ["file"]


def test_discarding_what_is_gone(tmp_path):
    """A temporary file that somebody else removed is no error to discard, but to publish."""
    new = Replacement(resolve_target(str(tmp_path / "file")))
    new.close()
    os.unlink(new.tmp_filepath)
    with pytest.raises(FileNotFoundError):
        new.publish("none")
    new.discard()


def test_planted_link_is_not_followed(tmp_path):
    """A link put in the place of a closed temporary file is not followed."""
    (tmp_path / "victim").write_bytes(b"x")
    (tmp_path / "victim").chmod(0o600)
    new = Replacement(resolve_target(str(tmp_path / "file")), 0o666)
    new.close()
    os.unlink(new.tmp_filepath)
    os.symlink("victim", new.tmp_filepath)
    with pytest.raises(OSError, match="symbolic link"):
        new.publish("none")
    assert stat.S_IMODE((tmp_path / "victim").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["victim"]


def test_left_block_discards(tmp_path):
    """What was not published when the block ends is discarded."""
    with Replacement(resolve_target(str(tmp_path / "file"))) as new:
        write_all(new.fileno(), b"x")
    assert not os.listdir(tmp_path)
    with pytest.raises(ValueError, match="closed"):
        new.fileno()


@pytest.mark.parametrize("existing", [True, False])
def test_no_file_mode_by_name(tmp_path, existing, umask):
    """None keeps an existing file's mode and leaves a new one to the umask, here as well."""
    umask(0o027)
    path = tmp_path / "file"
    if existing:
        path.touch()
        path.chmod(0o604)
    new = Replacement(resolve_target(str(path)), None)
    new.close()
    new.publish("none")
    assert stat.S_IMODE(path.stat().st_mode) == (0o604 if existing else 0o640)


def test_publishing_looks_for_cancellation(async_mode, tmp_path, halt):
    """A replacement whose caller was cancelled is not published."""

    def work():
        new = Replacement(resolve_target(str(tmp_path / "file")))
        halt()
        new.publish("none")

    async def body(context_vars):
        task = asyncio.create_task(offload(work, context_vars=context_vars))
        await halt.cancel(task)

    async_mode.run(body)
    assert not os.listdir(tmp_path)


def test_resolve_target(tmp_path):
    """A target tells where it is and what is there."""
    path = str(tmp_path / "file")
    assert resolve_target(path) == Target(path, None)
    (tmp_path / "file").touch()
    target = resolve_target(path)
    assert target.status.st_ino == os.stat(path).st_ino
    assert not target.is_special
    assert resolve_target(os.devnull).is_special


def test_plain_functions(tmp_path):
    """write_file and read_file work anywhere, with no mode at all."""
    path = str(tmp_path / "file")
    assert write_file(path, memoryview(b"x" * 10)) == 10
    assert read_file(path, 3) == b"xxx"
