"""Files that are read or written piece by piece."""

from __future__ import annotations

import asyncio
import os

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import open_file


def test_one_body_in_both_modes(mode, tmp_path):
    """The handle's methods are awaitable in both modes, and do what a file's do."""
    path = tmp_path / "file"

    async def body(context_vars):
        async with open_file(path, "w+", context_vars=context_vars) as file:
            assert await file.write("one\n") == 4
            await file.writelines(["two\n", "three"])
            await file.flush()
            assert await file.tell() == 13
            assert await file.seek(0) == 0
            assert await file.read(2) == "on"
            assert await file.readline() == "e\n"
            assert await file.readlines() == ["two\n", "three"]
            assert await file.truncate(3) == 3
            assert await file.readable() is True
            assert await file.writable() is True
            assert await file.seekable() is True
            assert await file.isatty() is False
            assert file.name == str(path)
            assert file.mode == "w+"
            assert file.fileno() > 2

    mode.run(body)
    assert path.read_text("utf-8") == "one"


def test_binary(mode, tmp_path):
    """Binary files have readinto as well."""

    async def body(context_vars):
        async with open_file(tmp_path / "file", "wb", context_vars) as file:
            await file.write(b"0123456789")
        async with open_file(tmp_path / "file", "rb", context_vars) as file:
            buf = bytearray(4)
            assert await file.readinto(buf) == 4
            assert buf == b"0123"
            assert await file.peek(1)
            assert await file.read1(2) == b"45"
            assert await file.read() == b"6789"

    mode.run(body)


def test_unbuffered(mode, tmp_path):
    """Without buffering the raw file is behind the handle."""

    async def body(context_vars):
        async with open_file(tmp_path / "file", "wb", context_vars, buffering=0) as file:
            await file.write(b"x")
            assert (tmp_path / "file").read_bytes() == b"x"

    mode.run(body)


def test_iteration(mode, tmp_path):
    """`async for` gives the lines."""
    (tmp_path / "file").write_text("a\nb\nc", "utf-8")

    async def body(context_vars):
        async with open_file(tmp_path / "file", context_vars=context_vars) as file:
            return [line async for line in file]

    assert mode.run(body) == ["a\n", "b\n", "c"]


def test_text_is_utf8(mode, tmp_path):
    """Text is UTF-8 unless told otherwise; newline and errors mean what they mean in open."""
    path = tmp_path / "file"

    async def body(context_vars):
        async with open_file(path, "w", context_vars, newline="\r\n") as file:
            assert file.encoding == "utf-8"
            await file.write("日本\n")
        async with open_file(path, "r", context_vars, encoding="ascii", errors="replace") as file:
            return await file.read()

    assert mode.run(body) == "\ufffd" * 6 + "\n"
    assert path.read_bytes() == "日本\r\n".encode()


def test_opener(mode, tmp_path):
    """An opener is used as in open."""

    def opener(path, flags):
        return os.open(path, flags, 0o600)

    async def body(context_vars):
        async with open_file(tmp_path / "file", "w", context_vars, opener=opener):
            pass

    mode.run(body)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_closed_on_exit(mode, tmp_path):
    """The file is closed on exit, also after an error; what was written stays."""
    handles = []

    async def body(context_vars):
        async with open_file(tmp_path / "file", "w", context_vars) as file:
            handles.append(file)
            await file.write("x")
            raise LookupError

    with pytest.raises(LookupError):
        mode.run(body)
    assert handles[0].closed
    assert (tmp_path / "file").read_text("utf-8") == "x"


def test_closing_twice(mode, tmp_path):
    """Closing a closed handle is fine; using one is a ValueError."""

    async def body(context_vars):
        async with open_file(tmp_path / "file", "w", context_vars) as file:
            await file.close()
            await file.close()
            with pytest.raises(ValueError, match="closed file"):
                await file.write("x")

    mode.run(body)


def test_missing_file(mode, tmp_path):
    """A missing file is a FileNotFoundError on entering."""

    async def body(context_vars):
        async with open_file(tmp_path / "missing", context_vars=context_vars):
            pytest.fail("entered")

    with pytest.raises(FileNotFoundError):
        mode.run(body)


def test_wrong_mode(mode, tmp_path):
    """A mode that open refuses is a ValueError on entering."""

    async def body(context_vars):
        async with open_file(tmp_path / "file", "q", context_vars):
            pytest.fail("entered")

    with pytest.raises(ValueError, match="invalid mode"):
        mode.run(body)


def test_context_vars_are_needed(tmp_path):
    """open_file needs the mode of operation, too."""
    with pytest.raises(MissingModeError):
        open_file(tmp_path / "file", "w").__aenter__().send(None)
    assert not (tmp_path / "file").exists()


def test_handle_is_aiofiles(mode, tmp_path):
    """The handle is aiofiles' own."""
    from aiofiles.threadpool.text import AsyncTextIOWrapper

    async def body(context_vars):
        async with open_file(tmp_path / "file", "w", context_vars) as file:
            assert type(file) is AsyncTextIOWrapper

    mode.run(body)


def test_coroutine_that_is_thrown_away(async_mode, tmp_path):
    """A coroutine that is closed instead of finished cannot await: the file is closed here."""

    async def body(context_vars):
        context = open_file(tmp_path / "file", "w", context_vars)
        file = await context.__aenter__()
        with pytest.raises(StopIteration):
            context.__aexit__(GeneratorExit, GeneratorExit(), None).send(None)
        assert file.closed

    async_mode.run(body)


def test_cancelled_at_any_turn(async_mode, tmp_path):
    """Cancelled after k turns of the loop, it leaves no open file (the leak check sees it)."""

    async def use(context_vars):
        async with open_file(tmp_path / "file", "w", context_vars) as file:
            await file.write("x")

    async def body(context_vars):
        for turns in range(40):
            task = asyncio.create_task(use(context_vars))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    async_mode.run(body)
