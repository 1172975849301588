"""Cancelled writes: published whole or not at all, and nothing changes afterwards."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.fs import _atomic, write_binary


@pytest.fixture
def held_flush(monkeypatch, halt):
    """Hold a write at its flush."""
    monkeypatch.setattr(os, "fsync", lambda fd: halt())
    return halt


@pytest.mark.parametrize("existing", [True, False], ids=["replace", "create"])
def test_unpublished_write_is_abandoned(async_mode, writer, tmp_path, held_flush, existing):
    """A write cancelled before the rename leaves the old content and no temporary file."""
    func, content = writer
    path = tmp_path / "file"
    if existing:
        path.write_bytes(b"old")

    async def body(context_vars):
        task = asyncio.create_task(func(path, content, context_vars=context_vars))
        await held_flush.cancel(task)
        assert os.listdir(tmp_path) == (["file"] if existing else [])
        assert not existing or path.read_bytes() == b"old"

    async_mode.run(body)


def test_published_write_is_complete(async_mode, tmp_path, monkeypatch, halt):
    """A write cancelled after the rename has written the new content."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    real_replace = os.replace

    def replace(source, target):
        real_replace(source, target)
        halt()

    monkeypatch.setattr(os, "replace", replace)

    async def body(context_vars):
        task = asyncio.create_task(write_binary(path, b"new", context_vars=context_vars))
        await halt.cancel(task)
        assert path.read_bytes() == b"new"

    async_mode.run(body)


def test_large_write_gives_up_between_pieces(async_mode, tmp_path, monkeypatch, halt):
    """A large write that is cancelled does not write the rest."""
    monkeypatch.setattr(_atomic, "_PIECE", 1000)
    pieces = []
    real_write = os.write

    def write(fd, data):
        if len(data) == 1000:
            pieces.append(fd)
            halt()
        return real_write(fd, data)

    monkeypatch.setattr(os, "write", write)

    async def body(context_vars):
        task = asyncio.create_task(
            write_binary(tmp_path / "file", bytes(100_000), context_vars=context_vars)
        )
        await halt.cancel(task)

    async_mode.run(body)
    assert len(pieces) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("step", ["open", "write", "fchmod", "fsync", "close", "replace"])
def test_cancelled_at_every_step(async_mode, tmp_path, monkeypatch, halt, step):
    """Cancelled at any system call, a write leaves the whole old or the whole new content."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    real = getattr(os, step)

    def hold(*args):
        if threading.current_thread().name == "mt-aio-worker":
            halt()
        return real(*args)

    async def body(context_vars):
        task = asyncio.create_task(
            write_binary(path, b"new", context_vars=context_vars, durability="full")
        )
        await halt.cancel(task)
        expected = b"new" if step == "replace" else b"old"
        assert path.read_bytes() == expected
        assert os.listdir(tmp_path) == ["file"]
        state = os.stat(path)
        await asyncio.sleep(0.02)  # a ghost would write now
        assert os.stat(path).st_ino == state.st_ino
        assert os.stat(path).st_mtime_ns == state.st_mtime_ns

    monkeypatch.setattr(os, step, hold)
    async_mode.run(body)


@pytest.mark.slow
def test_cancelled_after_any_number_of_turns(async_mode, tmp_path):
    """Cancelled after ever more turns of the loop, a write is whole or did not happen."""
    path = tmp_path / "file"

    async def cancelled(turns, context_vars):
        path.write_bytes(b"old")
        task = asyncio.create_task(write_binary(path, b"new", context_vars=context_vars))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            assert path.read_bytes() in {b"old", b"new"}
            return True
        else:
            assert path.read_bytes() == b"new"
            return False
        finally:
            assert os.listdir(tmp_path) == ["file"]

    async def body(context_vars):
        turns = 0
        while await cancelled(turns, context_vars):
            turns += 1 + turns // 20

    async_mode.run(body)


def test_write_that_never_began(async_mode, tmp_path, held_flush):
    """A write that waits for an earlier one to its path is withdrawn at once."""

    async def body(context_vars):
        path = tmp_path / "file"
        first = asyncio.create_task(write_binary(path, b"1", context_vars=context_vars))
        await held_flush.reached()
        second = asyncio.create_task(write_binary(path, b"2", context_vars=context_vars))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        held_flush.go_on()
        assert await first == 1

    async_mode.run(body)
    assert (tmp_path / "file").read_bytes() == b"1"


def test_looking_is_harmless_elsewhere():
    """check_cancelled does nothing outside of a job."""
    assert check_cancelled() is None
