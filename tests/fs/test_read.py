"""Reading whole files."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import _read, read_binary, read_text
from mt.aio.fs.lowlevel import read_file


@pytest.mark.parametrize("func", [read_binary, read_text])
def test_signature(func):
    """Reference, read_binary and read_text: names, order and defaults of the arguments."""
    parameters = list(inspect.signature(func).parameters.values())[:3]
    assert [p.name for p in parameters] == ["filepath", "size", "context_vars"]
    assert [p.default for p in parameters] == [inspect.Parameter.empty, None, {}]
    assert inspect.iscoroutinefunction(func)


@pytest.mark.parametrize("content", [b"", b"x", b"\0\r\n\xff" * 1000])
def test_read_binary_returns_the_content(mode, tmp_path, content):
    """Reference, read_binary, Returns: the content read from file."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert mode.run(read_binary, path) == content


@pytest.mark.parametrize(
    ("size", "expected"),
    [(None, b"0123"), (-1, b"0123"), (0, b""), (2, b"01"), (4, b"0123"), (10**12, b"0123")],
)
def test_read_binary_size(mode, tmp_path, size, expected):
    """Reference, read_binary, size: from the beginning, in bytes; the whole file for None."""
    path = tmp_path / "file"
    path.write_bytes(b"0123")
    assert mode.run(read_binary, path, size) == expected
    assert mode.run(read_binary, path, size=size) == expected


@pytest.mark.parametrize("func", [read_binary, read_text])
def test_size_of_wrong_type(mode, tmp_path, func):
    """A size that is no int is refused at the door."""
    for size in ("1", 1.0, b"1"):
        with pytest.raises(TypeError, match="size is a number of bytes"):
            mode.run(func, tmp_path / "missing", size)


@pytest.mark.parametrize("func", [read_binary, read_text])
def test_context_vars_are_needed(func, tmp_path):
    """Reference, context_vars: it must include context_vars['async']."""
    with pytest.raises(MissingModeError):
        func(tmp_path / "file").send(None)


@pytest.mark.parametrize("func", [read_binary, read_text])
def test_missing_file(mode, tmp_path, func):
    """A missing file is a FileNotFoundError that names it."""
    with pytest.raises(FileNotFoundError) as caught:
        mode.run(func, tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")


@pytest.mark.parametrize("func", [read_binary, read_text])
def test_folder(mode, tmp_path, func):
    """A folder is an IsADirectoryError that names it."""
    with pytest.raises(IsADirectoryError) as caught:
        mode.run(func, tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_link_is_followed(mode, tmp_path):
    """A symbolic link is read through."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    assert mode.run(read_binary, tmp_path / "link") == b"x"


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_proc_file(mode):
    """A file of /proc, whose size is 0 for `stat`, is read whole."""
    assert mode.run(read_binary, "/proc/self/status").startswith(b"Name:")
    assert mode.run(read_text, "/proc/self/status", 5) == "Name:"


def test_device(mode):
    """A device is read up to the size."""
    assert mode.run(read_binary, "/dev/zero", 100_000) == bytes(100_000)
    assert mode.run(read_binary, os.devnull) == b""


def test_fifo(mode, tmp_path):
    """A FIFO is read until its writers have closed it, whatever the pieces."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    content = bytes(range(256)) * 1000

    def feed():
        with open(path, "wb", buffering=0) as file:
            file.writelines(
                content[start : start + 10_000] for start in range(0, len(content), 10_000)
            )

    thread = threading.Thread(target=feed)
    thread.start()
    assert mode.run(read_binary, path) == content
    thread.join()


def _tamper(monkeypatch, path, deed):
    """Do something to a file between a reader's `fstat` and its first `read`."""
    real_read = os.read

    def read(fd, want):
        monkeypatch.setattr(os, "read", real_read)
        deed(path)
        return real_read(fd, want)

    monkeypatch.setattr(os, "read", read)


def test_file_that_grows(tmp_path, monkeypatch):
    """What is appended between the look at the size and the reading is read as well."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * 10)

    def grow(path):
        with open(path, "ab") as file:
            file.write(b"b" * 200_000)

    _tamper(monkeypatch, path, grow)
    assert read_file(str(path)) == b"a" * 10 + b"b" * 200_000


def test_file_that_shrinks(tmp_path, monkeypatch):
    """What is cut off between the look at the size and the reading is not read."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * 10)
    _tamper(monkeypatch, path, lambda path: os.truncate(path, 3))
    assert read_file(str(path)) == b"aaa"


def test_short_reads(tmp_path, monkeypatch):
    """A system that gives less than it was asked for is asked again."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    real_read = os.read
    monkeypatch.setattr(os, "read", lambda fd, want: real_read(fd, min(want, 7)))
    assert read_file(str(path)) == bytes(range(100))
    assert read_file(str(path), 50) == bytes(range(50))


@pytest.mark.parametrize("size", [5, 100_000])
def test_file_that_is_fetched_first(tmp_path, monkeypatch, size):
    """A file that the system has to fetch, as from tape, is waited for."""
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    real_read = os.read

    def read(fd, want):
        if not os.get_blocking(fd):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real_read(fd, want)

    monkeypatch.setattr(os, "read", read)
    assert read_file(str(path)) == bytes(size)


def test_large_file_is_left_to_one_buffer(tmp_path, monkeypatch):
    """A file beyond what one read gives comes in one piece as well."""
    monkeypatch.setattr(_read, "_ONE_READ", 1000)
    path = tmp_path / "file"
    content = os.urandom(200_000)  # more than the first read asks for
    path.write_bytes(content)
    assert read_file(str(path)) == content
    assert read_file(str(path), 100_000) == content[:100_000]


def test_read_is_abandoned_when_cancelled(async_mode, tmp_path):
    """A cancelled read ends at once, even while its thread is stuck."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def body(context_vars):
        task = asyncio.create_task(read_binary(path, context_vars=context_vars))
        writer = await asyncio.to_thread(os.open, path, os.O_WRONLY)  # so the reader is at it
        try:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        finally:
            os.close(writer)  # which ends the thread's read

    async_mode.run(body)


def test_endless_read_stops_when_cancelled(async_mode, monkeypatch):
    """The thread of a cancelled read of an endless device stops, too."""
    reached = threading.Event()
    real_read = os.read

    def read(fd, want):
        if want == _read._PIECE:
            reached.set()
        return real_read(fd, want)

    monkeypatch.setattr(os, "read", read)

    async def body(context_vars):
        task = asyncio.create_task(read_binary("/dev/zero", context_vars=context_vars))
        await asyncio.to_thread(reached.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_mode.run(body)  # the leak check waits for the thread


def test_read_text_is_utf8(mode, tmp_path, monkeypatch):
    """Text is UTF-8, whatever the locale says."""
    monkeypatch.setenv("LC_ALL", "C")
    path = tmp_path / "file"
    path.write_bytes("naïve 日本".encode())
    assert mode.run(read_text, path) == "naïve 日本"


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, ""), (1, "a"), (2, "a"), (3, "aé"), (5, "aé"), (6, "aé日"), (99, "aé日")],
)
def test_read_text_size_counts_bytes(mode, tmp_path, size, expected):
    """Reference, read_text, size: in bytes; a character that is cut is left out."""
    path = tmp_path / "file"
    path.write_bytes("aé日".encode())
    assert mode.run(read_text, path, size) == expected


def test_broken_end_is_an_error_unless_cut(mode, tmp_path):
    """An incomplete character at the very end of a file is an error, with or without a size."""
    path = tmp_path / "file"
    path.write_bytes("é".encode()[:1])
    for size in (None, 1, 5):
        with pytest.raises(UnicodeDecodeError) as caught:
            mode.run(read_text, path, size)
        assert str(path) in caught.value.__notes__[-1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "utf-8-sig"])
def test_text_options_mean_what_they_mean_in_open(mode, tmp_path, encoding):
    """Encoding and newline give what `open` gives."""
    path = tmp_path / "file"
    path.write_bytes("a\r\nb\rc\nd\r\n\né".encode(encoding))
    for newline in (None, "", "\n", "\r", "\r\n"):
        with open(path, encoding=encoding, newline=newline) as file:
            expected = file.read()
        assert mode.run(read_text, path, encoding=encoding, newline=newline) == expected


def test_read_text_errors(mode, tmp_path):
    """An error handler is used as in `open`."""
    path = tmp_path / "file"
    path.write_bytes(b"a\xffb")
    assert mode.run(read_text, path, errors="replace") == "a\ufffdb"
    assert mode.run(read_text, path, errors="ignore") == "ab"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"encoding": "klingon"}, LookupError),
        ({"encoding": "hex"}, LookupError),
        ({"encoding": None}, TypeError),
        ({"errors": "shrug"}, LookupError),
        ({"newline": "x"}, ValueError),
    ],
)
def test_read_text_wrong_options(mode, tmp_path, options, error):
    """Wrong options are refused, also for an empty file."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(error):
        mode.run(read_text, path, **options)
