"""Reading on the event loop what is in memory: inline=True."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import _cached, json_load, read_binary, read_text

ASYNC = {"async": True}


@pytest.fixture(autouse=True)
def refusing(monkeypatch):
    """Forget which devices have refused."""
    monkeypatch.setattr(_cached, "_refusing", refusing := set())
    return refusing


@pytest.fixture
def file(tmp_path):
    """Give the path of a small file that is in memory, where a file system can say so."""
    path = tmp_path / "file"
    path.write_bytes(b"caf\xc3\xa9")
    fd = os.open(path, os.O_RDONLY)
    try:
        os.preadv(fd, [bytearray(9)], 0, os.RWF_NOWAIT)
    except (AttributeError, OSError):
        pytest.skip("this system, or its file system here, cannot say what is in memory")
    finally:
        os.close(fd)
    return path


@pytest.fixture
def hops(monkeypatch):
    """Count the files that are read in the common way."""
    from mt.aio.fs import _read

    seen = []
    real = _read.read_file
    monkeypatch.setattr(_read, "read_file", lambda *args: seen.append(args) or real(*args))
    return seen


def test_same_result_with_and_without(mode, tmp_path):
    """In every mode, and whatever the file system says, inline changes nothing but the way."""
    path = tmp_path / "file"
    for content in (b"", b"x", b"content\r\n" * 500, b"x" * (2**16 - 1), b"x" * 2**16):
        path.write_bytes(content)
        for size in (None, -1, 0, 1, 5, len(content), len(content) + 1):
            expected = mode.run(read_binary, path, size)
            assert mode.run(read_binary, path, size, inline=True) == expected
            expected = mode.run(read_text, path, size)
            assert mode.run(read_text, path, size, inline=True) == expected
    path.write_text('{"a": [1, 2.5]}')
    assert mode.run(json_load, path, inline=True, parse_float=str) == {"a": [1, "2.5"]}


def test_nothing_suspends(file):
    """What is in memory is read in one step, with no worker thread."""

    def step(coroutine):
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        return ended.value.value

    assert step(read_binary(file, context_vars=ASYNC, inline=True)) == b"caf\xc3\xa9"
    assert step(read_binary(file, 2, context_vars=ASYNC, inline=True)) == b"ca"
    assert step(read_text(file, context_vars=ASYNC, inline=True)) == "caf\u00e9"
    assert step(read_text(file, 4, context_vars=ASYNC, inline=True)) == "caf"


@pytest.mark.usefixtures("file")
def test_json_is_parsed_in_the_same_step(tmp_path):
    """So is a JSON file; what is wrong with it is said as ever."""
    path = tmp_path / "json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    with pytest.raises(StopIteration) as ended:
        json_load(path, context_vars=ASYNC, inline=True).send(None)
    assert ended.value.value == {"a": 1}
    path.write_text("{")
    with pytest.raises(ValueError, match="Expecting") as caught:
        json_load(path, context_vars=ASYNC, inline=True).send(None)
    assert str(path) in caught.value.__notes__[0]


def test_a_file_that_is_not_in_memory_takes_a_hop(file, monkeypatch, hops, refusing):
    """When the system says that it would have to wait, a worker thread reads."""

    def would_block(*args):
        raise BlockingIOError(11, "not in memory")

    monkeypatch.setattr(os, "preadv", would_block)
    assert asyncio.run(read_binary(file, context_vars=ASYNC, inline=True)) == b"caf\xc3\xa9"
    assert len(hops) == 1
    assert not refusing


def test_a_part_in_memory_takes_a_hop(file, monkeypatch, hops):
    """A short read is not taken for the whole."""
    monkeypatch.setattr(os, "preadv", lambda *args: 3)
    assert asyncio.run(read_binary(file, context_vars=ASYNC, inline=True)) == b"caf\xc3\xa9"
    assert len(hops) == 1


@pytest.mark.skipif(not _cached._CAN, reason="Linux only")
def test_a_device_that_refuses_is_asked_once(tmp_path, monkeypatch, hops):
    """A file system that cannot tell what is in memory is not opened twice for each read."""
    (tmp_path / "file").write_bytes(b"x")
    asked = []

    def refuse(*args):
        asked.append(args)
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "preadv", refuse)
    for _ in range(3):
        result = asyncio.run(read_binary(tmp_path / "file", context_vars=ASYNC, inline=True))
        assert result == b"x"
    assert (len(asked), len(hops)) == (1, 3)


def test_evicted_files_are_read_too(file, tmp_path):
    """Files that the system was told to forget are read whole."""
    paths = [tmp_path / str(number) for number in range(20)]
    for path in paths:
        path.write_bytes(path.name.encode() * 3000)
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)

    async def main():
        return await asyncio.gather(
            *(read_binary(path, context_vars=ASYNC, inline=True) for path in paths)
        )

    assert asyncio.run(main()) == [path.name.encode() * 3000 for path in paths]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs")
def test_a_fifo_is_left_to_a_worker(tmp_path):
    """A FIFO, whose opening waits for a writer, does not keep the loop waiting."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def main():
        task = asyncio.ensure_future(read_binary(path, context_vars=ASYNC, inline=True))
        await asyncio.sleep(0)
        writer = threading.Thread(target=path.write_bytes, args=(b"through",))
        writer.start()
        assert await task == b"through"
        writer.join()

    asyncio.run(main())


def test_a_lease_is_waited_for_by_a_worker(mode, tmp_path, monkeypatch):
    """A file that another program has a lease on is not opened at once: nor on the event loop."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    real = os.open

    def refuse(path, flags, *args):
        if flags & os.O_NONBLOCK:  # what the system does as long as the lease is not given back
            raise BlockingIOError(11, "Resource temporarily unavailable", path)
        return real(path, flags, *args)

    monkeypatch.setattr(os, "open", refuse)
    for inline in (True, False):
        assert mode.run(read_binary, path, inline=inline) == b"content"


def test_proc_files_and_errors(mode, tmp_path):
    """What has no size is read as ever; errors are those of the common way."""
    if os.path.exists("/proc/self/cmdline"):
        expected = mode.run(read_binary, "/proc/self/cmdline")
        assert mode.run(read_binary, "/proc/self/cmdline", inline=True) == expected
    with pytest.raises(FileNotFoundError) as caught:
        mode.run(read_binary, tmp_path / "missing", inline=True)
    assert caught.value.filename == str(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        mode.run(read_binary, tmp_path, inline=True)


def test_needs_a_mode(file):
    """The mode is never guessed."""
    with pytest.raises(MissingModeError):
        read_binary(file, inline=True).send(None)
