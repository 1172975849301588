"""Delayed writes."""

from __future__ import annotations

import asyncio
import gc
import os

import pytest

from mt.aio.core import srun
from mt.aio.fs import json_load, json_save, npz_save, safe_chmod, safe_rename, write_binary
from mt.aio.fs.lowlevel import write_file


def test_returns_a_future_of_the_number_of_bytes(async_mode, writer, tmp_path):
    """Reference, file_write_delayed: returns the future; Returns: asyncio.Future."""
    func, content = writer
    path = tmp_path / "file"

    async def body(context_vars):
        future = await func(path, content, 0o600, context_vars, True)
        assert isinstance(future, asyncio.Future)
        assert await future == path.stat().st_size > 0

    async_mode.run(body)
    assert path.stat().st_mode & 0o777 == 0o600


def test_returns_before_the_file_is_written(async_mode, tmp_path, monkeypatch, halt):
    """The future is there while the write is still under way."""
    monkeypatch.setattr(os, "fsync", lambda fd: halt())

    async def body(context_vars):
        future = await write_binary(tmp_path / "file", b"x", 0o664, context_vars, True)
        assert not future.done()
        assert not (tmp_path / "file").exists()
        halt.go_on()
        assert await future == 1

    async_mode.run(body)


def test_published_in_the_order_of_issue(async_mode, tmp_path, monkeypatch):
    """Writes to one path are published in the order in which they were issued, however fast."""
    published = []
    real_replace = os.replace

    def replace(source, target):
        with open(source, "rb") as file:
            published.append(file.read())
        real_replace(source, target)

    monkeypatch.setattr(os, "replace", replace)
    contents = [bytes([i]) * (3_000_000 if i % 5 == 0 else 1) for i in range(40)]

    async def body(context_vars):
        path = tmp_path / "file"
        futures = []
        for i, content in enumerate(contents):
            delayed = i % 3 != 2
            result = await write_binary(path, content, 0o664, context_vars, delayed)
            futures += [result] if delayed else []
        await asyncio.gather(*futures)

    async_mode.run(body)
    assert published == contents
    assert (tmp_path / "file").read_bytes() == contents[-1]


def test_serialised_before_it_returns(async_mode, tmp_path):
    """What the caller does to an object afterwards does not reach the file."""
    np = pytest.importorskip("numpy")

    async def body(context_vars):
        buf, obj, arr = bytearray(b"old"), {"x": ["old"]}, np.zeros(3)
        futures = [
            await write_binary(tmp_path / "b", buf, 0o664, context_vars, True),
            await json_save(tmp_path / "j", obj, 0o664, context_vars, True),
            await npz_save(tmp_path / "n", {"x": arr}, 0o664, context_vars, True),
        ]
        buf[:] = b"new content"
        obj["x"].append("new")
        arr[:] = 1
        await asyncio.gather(*futures)
        assert await json_load(tmp_path / "j", context_vars) == {"x": ["old"]}

    async_mode.run(body)
    assert (tmp_path / "b").read_bytes() == b"old"
    with np.load(tmp_path / "n") as content:
        assert not content["x"].any()


def test_dropped_future_completes(async_mode, tmp_path):
    """A future that nobody keeps cannot be collected: the file is written."""

    async def body(context_vars):
        for i in range(20):
            await write_binary(tmp_path / f"{i}", b"x", 0o664, context_vars, True)
        gc.collect()

    async_mode.run(body)
    for i in range(20):  # sync mode waits for what was issued before
        srun(safe_chmod, tmp_path / f"{i}", 0o600)
        assert (tmp_path / f"{i}").stat().st_mode & 0o777 == 0o600


def test_pending_writes_are_finished_at_exit(run_python, tmp_path):
    """A program that ends right after issuing delayed writes has written them."""
    program = """
    import asyncio, sys
    from mt.aio.fs import write_binary

    async def main():
        for i in range(50):
            await write_binary(f"{sys.argv[1]}/{i}", b"x" * 1000, 0o664, {"async": True}, True)

    asyncio.run(main())
    """
    run_python(program, tmp_path)
    assert [p.stat().st_size for p in tmp_path.iterdir()] == [1000] * 50


def test_failing_write_is_reported(async_mode, writer, tmp_path):
    """The error of a delayed write comes out of its future."""
    func, content = writer

    async def body(context_vars):
        future = await func(tmp_path / "missing" / "file", content, 0o664, context_vars, True)
        with pytest.raises(FileNotFoundError):
            await future

    async_mode.run(body)


def test_failing_write_that_nobody_awaits(async_mode, tmp_path):
    """The error of a dropped future goes to the loop's exception handler."""
    seen = []

    async def body(context_vars):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
        path = tmp_path / "missing" / "file"
        future = await write_binary(path, b"x", 0o664, context_vars, True)
        await asyncio.wait([future])
        del future
        while not seen:  # the worker thread lets go of it in its own time
            gc.collect()
            await asyncio.sleep(0)

    async_mode.run(body)
    assert [type(error) for error in seen] == [FileNotFoundError]


def test_object_that_cannot_be_dumped(async_mode, tmp_path):
    """An object that cannot be dumped is refused before a future is returned."""

    async def body(context_vars):
        with pytest.raises(TypeError, match="not JSON serializable"):
            await json_save(tmp_path / "file", object(), 0o664, context_vars, True)

    async_mode.run(body)


def test_cancelled_future_publishes_nothing(async_mode, tmp_path, monkeypatch, halt):
    """Cancelling the future of a write that is not published abandons the write."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda fd: halt())

    async def body(context_vars):
        first = await write_binary(path, b"one", 0o664, context_vars, True)
        second = await write_binary(path, b"two", 0o664, context_vars, True)
        await halt.reached()
        first.cancel()
        second.cancel()
        halt.go_on()
        await asyncio.wait([first, second])
        third = await write_binary(tmp_path / "other", b"3", 0o664, context_vars)
        assert third == 1

    async_mode.run(body)
    write_file(str(tmp_path / "other"), b"")
    assert path.read_bytes() == b"old"


def test_chmod_and_rename_come_after_pending_writes(async_mode, tmp_path):
    """safe_chmod and safe_rename find the file that a delayed write was to make."""

    async def body(context_vars):
        future = await write_binary(tmp_path / "a", bytes(1_000_000), 0o664, context_vars, True)
        await safe_chmod(tmp_path / "a", 0o600, context_vars=context_vars)
        assert future.done()
        future = await write_binary(tmp_path / "b", bytes(1_000_000), 0o664, context_vars, True)
        await safe_rename(tmp_path / "a", tmp_path / "b", context_vars)
        assert future.done()
        future = await write_binary(tmp_path / "c", bytes(1_000_000), 0o664, context_vars, True)
        await safe_rename(tmp_path / "c", tmp_path / "d", context_vars)
        assert future.done()

    async_mode.run(body)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["b", "d"]
