"""Writing whole files: what is written and returned, and what is refused."""

from __future__ import annotations

import array
import inspect
import os

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import json_save, read_binary, write_binary, write_text

COMMON = ["file_mode", "context_vars", "file_write_delayed", "make_dirs"]


def test_signature(writer):
    """Reference, write_binary, write_text and json_save: names, order and defaults."""
    func, _ = writer
    parameters = list(inspect.signature(func).parameters.values())
    names = [p.name for p in parameters]
    assert names[:2] in (["filepath", "buf"], ["filepath", "obj"])
    assert names[2:6] == COMMON
    assert [p.default for p in parameters[2:6]] == [0o664, {}, False, False]
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters[6:])


def test_context_vars_are_needed(writer, tmp_path):
    """Reference, context_vars: it must include context_vars['async']."""
    func, content = writer
    with pytest.raises(MissingModeError):
        func(tmp_path / "file", content).send(None)


def test_returns_the_number_of_bytes(mode, writer, tmp_path):
    """Reference, Returns: the number of bytes written."""
    func, content = writer
    written = mode.run(func, tmp_path / "file", content)
    assert type(written) is int
    assert written == (tmp_path / "file").stat().st_size > 0


def test_bytes_are_counted_not_characters(mode, tmp_path):
    """Reference, write_text, Returns: the number of bytes written."""
    assert mode.run(write_text, tmp_path / "file", "日本") == 6
    assert (tmp_path / "file").read_bytes() == "日本".encode()


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 100_000], ids=len)
def test_content_is_written(mode, tmp_path, content):
    """Reference, write_binary: creates a binary file and writes the content."""
    assert mode.run(write_binary, tmp_path / "file", content) == len(content)
    assert (tmp_path / "file").read_bytes() == content


def test_old_content_is_replaced(mode, tmp_path):
    """A shorter content leaves nothing of a longer one."""
    (tmp_path / "file").write_bytes(b"long content")
    mode.run(write_binary, tmp_path / "file", b"short")
    assert (tmp_path / "file").read_bytes() == b"short"


def test_short_writes(tmp_path, mode, monkeypatch):
    """A system that takes less than it was given is given the rest."""
    real_write = os.write
    seen = []

    def write(fd, data):
        if os.path.realpath(f"/proc/self/fd/{fd}").startswith(str(tmp_path)):
            seen.append(len(data))
            data = data[:1000]
        return real_write(fd, data)

    monkeypatch.setattr(os, "write", write)
    content = os.urandom(5500)
    assert mode.run(write_binary, tmp_path / "file", content) == 5500
    assert (tmp_path / "file").read_bytes() == content
    if os.path.exists("/proc/self/fd"):
        assert seen == [5500, 4500, 3500, 2500, 1500, 500]


BUFFERS = [
    bytearray(b"abc"),
    memoryview(b"abcdef")[::2],
    memoryview(b"abcdef").cast("B", (2, 3)),
    array.array("d", [1.5, 2.5]),
    memoryview(array.array("i", range(10)))[::-1],
]


@pytest.mark.parametrize("buf", BUFFERS, ids=lambda buf: type(buf).__name__)
def test_buffers(mode, tmp_path, buf):
    """write_binary takes any object with the buffer protocol."""
    expected = memoryview(buf).tobytes()
    assert mode.run(write_binary, tmp_path / "file", buf) == len(expected)
    assert (tmp_path / "file").read_bytes() == expected


def _arrays():
    np = pytest.importorskip("numpy")
    table = np.arange(24.0).reshape(2, 3, 4)
    return [
        table,
        table.T,
        np.asfortranarray(table),
        table[:, ::2, ::-1],
        np.broadcast_to(np.float32(3), (4, 5)),
        np.array(5.0),
        np.int16(7),
        np.zeros(0),
        np.zeros((3, 0, 2)),
        np.arange(5, dtype=">i4"),
        np.array([(1, 2.0)], dtype=[("OO", "i2"), ("b", "f8")]),
        np.array(["text"]),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array([1, 2], dtype="f2"),
    ]


def test_numpy_arrays_of_any_layout(mode, tmp_path):
    """write_binary writes an array's bytes in C order, as `tobytes` gives them."""
    for index, arr in enumerate(_arrays()):
        expected = arr.tobytes()
        path = tmp_path / f"{index}"
        assert mode.run(write_binary, path, arr) == len(expected)
        assert path.read_bytes() == expected


@pytest.mark.parametrize(
    "buf", [[1, 2], 3, None, {"a": 1}, object()], ids=lambda value: type(value).__name__
)
def test_write_binary_refuses_what_is_no_buffer(mode, tmp_path, buf):
    """What has no bytes is a TypeError, and nothing happens."""
    with pytest.raises(TypeError, match="takes bytes or another buffer"):
        mode.run(write_binary, tmp_path / "file", buf)
    assert not list(tmp_path.iterdir())


def test_write_binary_refuses_objects_and_dates(mode, tmp_path):
    """An array of Python objects would write addresses; one of dates has no buffer."""
    np = pytest.importorskip("numpy")
    record = np.array([(1, object())], dtype=[("a", "i4"), ("b", "O")])
    for arr in (np.array([object()]), record, np.array(["2020"], dtype="M8[D]")):
        with pytest.raises(TypeError, match="another buffer"):
            mode.run(write_binary, tmp_path / "file", arr)


def test_each_writer_names_the_other(mode, tmp_path):
    """A str for write_binary, and bytes for write_text, are a TypeError with the cure."""
    with pytest.raises(TypeError, match="write_text"):
        mode.run(write_binary, tmp_path / "file", "text")
    for buf in (b"bytes", 3, None):
        with pytest.raises(TypeError, match="write_binary"):
            mode.run(write_text, tmp_path / "file", buf)


def test_checks_come_before_a_delayed_write(async_mode, tmp_path):
    """A delayed write is refused when it is issued, not when its future is awaited."""

    async def body(context_vars):
        with pytest.raises(TypeError, match="write_text"):
            await write_binary(tmp_path / "file", "text", 0o664, context_vars, True)
        with pytest.raises(TypeError, match="file_mode"):
            await write_text(tmp_path / "file", "text", "0664", context_vars, True)

    async_mode.run(body)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "utf-8-sig"])
def test_text_options_mean_what_they_mean_in_open(mode, tmp_path, encoding):
    """Encoding and newline write what `open` writes."""
    text = "a\nb\r\né\n"
    for newline in (None, "", "\n", "\r", "\r\n"):
        with open(tmp_path / "expected", "w", encoding=encoding, newline=newline) as file:
            file.write(text)
        mode.run(write_text, tmp_path / "file", text, encoding=encoding, newline=newline)
        assert (tmp_path / "file").read_bytes() == (tmp_path / "expected").read_bytes()


def test_write_text_errors(mode, tmp_path):
    """A character that the encoding lacks is an error, or what the handler makes of it."""
    path = tmp_path / "file"
    with pytest.raises(UnicodeEncodeError):
        mode.run(write_text, path, "é", encoding="ascii")
    assert not path.exists()
    assert mode.run(write_text, path, "é", encoding="ascii", errors="xmlcharrefreplace") == 6


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"encoding": "klingon"}, LookupError),
        ({"encoding": None}, TypeError),
        ({"errors": "shrug"}, LookupError),
        ({"newline": "x"}, ValueError),
    ],
)
def test_write_text_wrong_options(mode, tmp_path, options, error):
    """Wrong options are refused at the door, also for an empty text."""
    with pytest.raises(error):
        mode.run(write_text, tmp_path / "file", "", **options)
    assert not (tmp_path / "file").exists()


def test_wrong_file_mode(mode, writer, tmp_path):
    """A file mode that is none is refused at the door."""
    func, content = writer
    for file_mode in ("664", 6.0, True):
        with pytest.raises(TypeError, match="file_mode"):
            mode.run(func, tmp_path / "file", content, file_mode)
    for file_mode in (-1, 0o10000):
        with pytest.raises(ValueError, match="file_mode"):
            mode.run(func, tmp_path / "file", content, file_mode)
    assert not (tmp_path / "file").exists()


def test_missing_folder(mode, writer, tmp_path):
    """A missing folder is a FileNotFoundError that names the target and the cure."""
    func, content = writer
    path = tmp_path / "missing" / "file"
    with pytest.raises(FileNotFoundError) as caught:
        mode.run(func, path, content)
    assert caught.value.filename == str(path)
    assert "make_dirs=True" in caught.value.__notes__[0]


@pytest.mark.parametrize("durability", ["none", "full"])
def test_make_dirs(mode, writer, tmp_path, durability, umask):
    """make_dirs creates the target's folders with the umask's mode, whether some exist or not."""
    func, content = writer
    umask(0o027)
    path = tmp_path / "a" / "b" / "file"
    for _ in range(2):
        mode.run(func, path, content, make_dirs=True, durability=durability)
    assert path.stat().st_size > 0
    assert [folder.stat().st_mode & 0o777 for folder in path.parents[:2]] == [0o750, 0o750]


def test_make_dirs_is_the_seventh_argument(tmp_path):
    """Published callers pass make_dirs by position, after file_write_delayed."""
    for func in (write_binary, write_text, json_save):
        path = tmp_path / func.__name__ / "file"
        buf = b"x" if func is write_binary else "x"
        coro = func(path, buf, 0o664, {"async": False}, False, True)
        with pytest.raises(StopIteration):
            coro.send(None)
        assert path.exists()


def test_make_dirs_over_a_file(mode, tmp_path):
    """A file where a folder is needed is an error, and stays."""
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(NotADirectoryError):
        mode.run(write_binary, tmp_path / "a" / "b", b"y", make_dirs=True)
    assert (tmp_path / "a").read_bytes() == b"x"


def test_file_write_delayed_is_ignored_in_sync_mode(writer, tmp_path):
    """Reference, file_write_delayed: only valid in asynchronous mode."""
    func, content = writer
    with pytest.raises(StopIteration) as caught:
        func(tmp_path / "file", content, 0o664, {"async": False}, True).send(None)
    assert caught.value.value == (tmp_path / "file").stat().st_size


def test_one_body_reads_what_it_wrote(mode, tmp_path):
    """One asyn function writes and reads in both modes."""

    async def body(context_vars):
        await write_binary(tmp_path / "file", b"x", context_vars=context_vars)
        return await read_binary(tmp_path / "file", context_vars=context_vars)

    assert mode.run(body) == b"x"


def test_a_failed_write_lets_go_of_its_buffer(mode, tmp_path):
    """Who has caught the error of a write can resize what was to be written."""
    buf = bytearray(b"x")
    with pytest.raises(FileNotFoundError) as caught:
        mode.run(write_binary, tmp_path / "missing" / "file", buf)
    buf.append(1)
    assert caught.value.__traceback__  # which is there still, with all its frames
