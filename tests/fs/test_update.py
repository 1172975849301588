"""Changing a JSON file as one step."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import _lock, _update, json_save, json_update


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Let an update wait for its turn in the workers' queue, however busy the machine is."""
    monkeypatch.setattr(_update, "_SHORTEST_TRY", 30)


@pytest.fixture
def held(counter):
    """Somebody else's lock on the file."""
    lock = _lock.Lock(_lock.lock_path(str(counter)))
    lock.acquire()
    yield lock
    lock.release()


def test_changed_in_place_or_returned(mode, counter, count):
    """What the function returns is saved, or what it was given if it returns None."""
    assert mode.run(json_update, counter, count) == {"n": 1}
    assert json.loads(counter.read_text()) == {"n": 1}
    assert mode.run(json_update, counter, lambda obj: [obj, 2], indent=1) == [{"n": 1}, 2]
    assert counter.read_text() == json.dumps([{"n": 1}, 2], indent=1)
    assert os.listdir(counter.parent) == ["state.json"]


def test_mode_of_the_file(mode, counter, count):
    """The file keeps its mode, unless another is asked for."""
    counter.chmod(0o600)
    mode.run(json_update, counter, count, durability="full")
    assert counter.stat().st_mode & 0o777 == 0o600
    mode.run(json_update, counter, count, 0o640)
    assert counter.stat().st_mode & 0o777 == 0o640


def test_missing_file(mode, tmp_path, count):
    """A missing file is an error that names it, or begins with a copy of the default."""
    default = {"n": 0}
    with pytest.raises(FileNotFoundError) as caught:
        mode.run(json_update, tmp_path / "a", count)
    assert caught.value.filename == str(tmp_path / "a")
    for name in "ab":
        assert mode.run(json_update, tmp_path / name, count, default=default) == {"n": 1}
    assert default == {"n": 0}
    assert mode.run(json_update, tmp_path / "c", str, default=None) == "None"


def test_missing_folder(mode, tmp_path, count):
    """A missing folder is an error that names the file, or is made."""
    path = tmp_path / "x" / "a"
    with pytest.raises(FileNotFoundError) as caught:
        mode.run(json_update, path, count, default={"n": 0})
    assert caught.value.filename == str(path)
    mode.run(json_update, path, count, default={"n": 0}, make_dirs=True)
    assert path.read_text() == '{"n": 1}'


def test_link_is_followed(mode, counter, count):
    """A link stays, and is locked as the file that it leads to."""
    (counter.parent / "link").symlink_to(counter.name)
    mode.run(json_update, counter.parent / "link", count)
    assert (counter.parent / "link").is_symlink()
    assert json.loads(counter.read_text()) == {"n": 1}


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 248], ids=range(3))
def test_long_name(mode, tmp_path, name, count):
    """Names as long as the system allows have a lock as well."""
    mode.run(json_update, tmp_path / name, count, default={"n": 0})
    assert os.listdir(tmp_path) == [name]


def test_wrong_arguments(mode, counter, count):
    """What is wrong is said, and nothing is changed."""

    async def asyn_func(obj):
        return obj

    with pytest.raises(TypeError, match="an asyn function"):
        mode.run(json_update, counter, asyn_func)
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="number of seconds"):
            mode.run(json_update, counter, count, timeout=timeout)
    with pytest.raises(ValueError, match="durability is"):
        mode.run(json_update, counter, count, durability="safe")
    with pytest.raises(TypeError, match="filepath is a str"):
        mode.run(json_update, 3, count)
    with pytest.raises(MissingModeError):
        json_update(counter, count).send(None)
    assert counter.read_text() == '{"n": 0}'


@pytest.mark.parametrize("content", ["{", "\xff"])
def test_file_that_is_no_json(mode, counter, content, count):
    """A file that is not JSON is a ValueError that names it, and stays."""
    counter.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError) as caught:
        mode.run(json_update, counter, count)
    assert any(str(counter) in note for note in caught.value.__notes__)
    assert counter.read_text(encoding="latin-1") == content


def _fail(obj):
    raise LookupError("from the function")


@pytest.mark.parametrize("func", [_fail, lambda _: object()], ids=["raises", "not JSON"])
def test_failing_function(mode, counter, func, count):
    """What the function raises is raised; the file stays, and the lock is free."""
    with pytest.raises((LookupError, TypeError)):
        mode.run(json_update, counter, func)
    assert counter.read_text() == '{"n": 0}'
    assert os.listdir(counter.parent) == ["state.json"]
    mode.run(json_update, counter, count)


@pytest.mark.parametrize("timeout", [0, 0.1])
def test_timeout_names_the_holder(mode, counter, held, timeout, count):
    """When the time is over, the error says who keeps the file; nothing has been changed."""
    with pytest.raises(TimeoutError, match=rf"within {timeout} s.* process {os.getpid()} on \w+"):
        mode.run(json_update, counter, count, timeout=timeout)
    assert counter.read_text() == '{"n": 0}'


def test_timeout_behind_this_process(async_mode, counter, halt, count, monkeypatch):
    """The time spent behind an update of the same process counts, too."""

    def slow(obj):
        halt()
        count(obj)

    async def body(context_vars):
        task = asyncio.create_task(
            json_update(counter, slow, timeout=0.01, context_vars=context_vars)
        )
        await halt.reached()
        monkeypatch.setattr(_update, "_SHORTEST_TRY", 0.05)
        with pytest.raises(TimeoutError, match="other jobs of this process"):
            await json_update(counter, count, timeout=0.1, context_vars=context_vars)
        halt.go_on()
        assert await task == {"n": 1}, "the time ends when its own turn has come"

    async_mode.run(body)
    assert json.loads(counter.read_text()) == {"n": 1}


def test_waits_for_the_lock_without_a_thread(async_mode, counter, held, count):
    """An update that waits keeps no worker thread, and goes on when the lock is free."""

    async def body(context_vars):
        tasks = [
            asyncio.create_task(
                json_update(counter, count, timeout=None, context_vars=context_vars)
            )
            for _ in range(8)
        ]
        for i in range(20):  # with all threads taken this would stand still
            await json_save(counter.parent / f"{i}", i, context_vars=context_vars)
        assert not any(task.done() for task in tasks)
        held.release()
        await asyncio.gather(*tasks)

    async_mode.run(body)
    assert json.loads(counter.read_text()) == {"n": 8}


def test_cancelled_while_waiting(async_mode, counter, held, count):
    """A cancelled wait ends, and has changed nothing."""

    async def body(context_vars):
        task = asyncio.create_task(json_update(counter, count, context_vars=context_vars))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_mode.run(body)
    assert counter.read_text() == '{"n": 0}'


def test_cancelled_in_the_function(async_mode, counter, halt, count):
    """Cancelled while the function runs, an update changes nothing and frees the lock."""

    def slow(obj):
        halt()
        count(obj)

    async def body(context_vars):
        task = asyncio.create_task(json_update(counter, slow, context_vars=context_vars))
        await halt.cancel(task)
        assert counter.read_text() == '{"n": 0}'
        await json_update(counter, count, timeout=0, context_vars=context_vars)

    async_mode.run(body)
    assert os.listdir(counter.parent) == ["state.json"]


def test_lock_file_of_a_dead_holder(mode, counter, count):
    """A lock file that nobody holds any more is taken, and removed."""
    lock = _lock.lock_path(str(counter))
    with open(lock, "w", encoding="utf-8") as file:
        file.write("process 1 on elsewhere")
    mode.run(json_update, counter, count, timeout=0)
    assert os.listdir(counter.parent) == ["state.json"]


def test_planted_link(mode, counter, tmp_path, count):
    """A link in the place of the lock file is not followed."""
    victim = tmp_path / "victim"
    victim.write_text("x")
    os.symlink(victim, _lock.lock_path(str(counter)))
    with pytest.raises(OSError, match="symbolic link") as caught:
        mode.run(json_update, counter, count)
    assert caught.value.errno == errno.ELOOP
    assert victim.read_text() == "x"


def test_lock_file_that_its_holder_removes(counter, monkeypatch):
    """Who has opened the lock file before its holder removed it locks the next one instead."""
    lock = _lock.lock_path(str(counter))
    real = fcntl.flock
    removed = []

    def flock(fd, operation):
        if not removed:
            removed.append(lock)
            os.unlink(lock)
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    held = _lock.Lock(lock)
    held.acquire()
    assert os.path.samestat(os.fstat(held._fd), os.stat(lock))
    held.release()
    assert not os.path.exists(lock)
