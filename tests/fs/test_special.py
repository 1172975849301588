"""Reading and writing devices and FIFOs."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading

import pytest

from mt.aio.core import srun
from mt.aio.fs import _special, read_binary, safe_rename, symlink, write_binary
from mt.aio.fs.lowlevel import Replacement, resolve_target

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere opening waits for a writer")


@pytest.fixture
def device(tmp_path):
    """Make a device: root's tests use one of their own, as a broken writer would replace it."""

    def make(name, minor):
        if os.geteuid() != 0:
            return f"/dev/{name}"
        path = tmp_path / name
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            open(path, "rb").close()
        except PermissionError:
            pytest.skip("devices do not work in this folder")
        return path

    return make


def test_device_is_written_to(mode, device):
    """A device is written into, and stays a device with its mode."""
    null = device("null", 3)
    before = os.stat(null)
    assert mode.run(write_binary, null, bytes(100_000), 0o600) == 100_000
    after = os.stat(null)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's full device")
def test_full_device(mode, device):
    """A full device is the system's error."""
    with pytest.raises(OSError, match="No space left"):
        mode.run(write_binary, device("full", 7), b"x")


@pytest.mark.parametrize("size", [0, 5, 1_000_000])
def test_fifo_is_written_to(mode, tmp_path, size):
    """A FIFO is written into, however little it takes at a time, and stays a FIFO."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    content = os.urandom(size)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    assert mode.run(write_binary, path, content) == size
    reader.join()
    assert got == [content]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_fifo_behind_a_link(mode, tmp_path):
    """A link to a FIFO leads to the FIFO."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert mode.run(write_binary, tmp_path / "link", b"abc") == 3
        assert os.read(reader, 10) == b"abc"
    finally:
        os.close(reader)
    assert (tmp_path / "link").is_symlink()


def test_reader_that_goes_away(mode, tmp_path):
    """A FIFO whose reader leaves is a BrokenPipeError."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def read_a_little():
        with path.open("rb", buffering=0) as file:
            file.read(10)

    reader = threading.Thread(target=read_a_little)
    reader.start()
    with pytest.raises(BrokenPipeError):
        mode.run(write_binary, path, bytes(1_000_000))
    reader.join()


@pytest.fixture
def waiting(monkeypatch):
    """Tell when a reader has begun to wait for a writer."""
    waits = threading.Event()
    real = _special._wait_for_content
    monkeypatch.setattr(_special, "_wait_for_content", lambda fd: waits.set() or real(fd))
    return waits


@linux
@pytest.mark.parametrize("content", [[], [b"a", b"b" * 100_000, b"c"]], ids=["nothing", "pieces"])
def test_fifo_whose_writer_comes_late(mode, tmp_path, waiting, content):
    """A reader that is there first waits for a writer, and then until that has gone."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def feed():
        waiting.wait(30)
        with open(path, "wb", buffering=0) as file:
            for piece in content:
                waiting.clear()
                file.write(piece)
                waiting.wait(30)

    writer = threading.Thread(target=feed)
    writer.start()
    assert mode.run(read_binary, path) == b"".join(content)
    writer.join()


@linux
def test_fifo_whose_writer_is_there(mode, tmp_path, waiting):
    """A reader that comes later waits for what its writer has not written yet."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)  # which waits for nobody
    os.write(fd, b"abc")

    def go_on():
        waiting.wait(30)
        os.write(fd, b"def")
        os.close(fd)

    writer = threading.Thread(target=go_on)
    writer.start()
    assert mode.run(read_binary, path) == b"abcdef"
    writer.join()


@linux
def test_waiting_reads_can_be_cancelled(async_mode, tmp_path, waiting):
    """Reads of a FIFO that nobody writes to keep no worker when they are cancelled.

    It took a few dozens to have none left for anything else.
    """
    os.mkfifo(tmp_path / "fifo")

    async def body(context_vars):
        for _ in range(3):
            task = asyncio.create_task(read_binary(tmp_path / "fifo", context_vars=context_vars))
            await asyncio.to_thread(waiting.wait)
            waiting.clear()
            task.cancel()
            await asyncio.wait([task])

    async_mode.run(body)  # the leak check sees that they have ended


@pytest.mark.parametrize("reader", [True, False])
def test_waiting_write_can_be_cancelled(async_mode, tmp_path, reader):
    """A write that waits for a FIFO's reader, or for room in it, ends when it is cancelled."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def body(context_vars):
        task = asyncio.create_task(write_binary(path, bytes(1_000_000), context_vars=context_vars))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if reader else None
    async_mode.run(body)
    if fd is not None:
        os.close(fd)


def test_special_file_cannot_be_replaced(tmp_path):
    """A Replacement of a FIFO is refused, and the FIFO stays."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        Replacement(resolve_target(str(path)))
    assert [p.name for p in tmp_path.iterdir()] == ["fifo"]


@pytest.fixture(params=["device", "status"])
def null(request, device, tmp_path, monkeypatch):
    """A device that root could replace; or a file that says it is one, for who may make none."""
    if request.param == "device":
        if os.geteuid() != 0:
            pytest.skip("only root can make a device, and replace one")
        return device("null", 3)
    path = tmp_path / "null"
    path.touch()
    real = os.lstat

    def lstat(filepath):
        status = real(filepath)
        if os.fspath(filepath) != str(path):
            return status
        return os.stat_result((stat.S_IFCHR | 0o666, *status[1:]))

    monkeypatch.setattr(os, "lstat", lstat)
    return path


def test_renaming_never_replaces_a_device(mode, tmp_path, null):
    """safe_rename over a device is refused: root once lost /dev/null to such a renaming."""
    before = os.stat(null)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="Is a device") as caught:
        mode.run(safe_rename, tmp_path / "file", null)
    assert caught.value.filename == str(null)
    assert os.path.samestat(os.stat(null), before)
    assert (tmp_path / "file").read_text() == "x"


def test_a_link_never_replaces_a_device(tmp_path, null):
    """A link with `replace=True` in a device's place is refused, and leaves nothing behind."""
    before = os.stat(null)
    with pytest.raises(OSError, match="Is a device"):
        srun(symlink, "file", null, replace=True)
    assert os.path.samestat(os.stat(null), before)
    assert os.listdir(tmp_path) == ["null"]
