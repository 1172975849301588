"""Objects are written whole or not at all, whatever happens meanwhile: against a real server."""

from __future__ import annotations

import asyncio
import errno
import mmap
import threading

import pytest

from mt.aio import remote
from mt.aio.core import srun
from mt.aio.fs import copy, exists, read_binary, write_binary
from mt.aio.remote import _write

pytestmark = pytest.mark.slow

LARGE = 3 * _write.PART + 1


def _is_whole(content):
    """Whether an object is one writer's whole content: one byte, so many times."""
    return len(content) == LARGE and content.count(content[:1]) == LARGE


def test_readers_see_whole_objects(async_mode, s3):
    """While several write a large object in parts, each read gives one whole content."""
    url = f"{s3}/x"
    srun(write_binary, url, b"0" * LARGE)

    async def body(context_vars):
        writers = [
            asyncio.create_task(write_binary(url, byte * LARGE, context_vars=context_vars))
            for byte in (b"1", b"2", b"3")
        ]
        seen = set()
        while not all(task.done() for task in writers) or len(seen) == 0:
            contents = [await read_binary(url, context_vars=context_vars) for _ in range(2)]
            assert all(map(_is_whole, contents))
            seen.update(content[:1] for content in contents)
        await asyncio.gather(*writers)
        assert _is_whole(await read_binary(url, context_vars=context_vars))

    async_mode.run(body)


def test_one_exclusive_writer_wins(async_mode, server, s3):
    """Of many exclusive writers at once exactly one wins, and its content stays."""

    async def body(context_vars):
        tasks = [
            write_binary(f"{s3}/x", b"%d" % number, context_vars=context_vars, exclusive=True)
            for number in range(16)
        ]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        winners = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, int)]
        assert len(winners) == 1
        assert all(isinstance(each, (int, FileExistsError)) for each in outcomes)
        assert await read_binary(f"{s3}/x", context_vars=context_vars) == b"%d" % winners[0]

    async_mode.run(body)


def test_one_exclusive_writer_wins_among_threads(s3):
    """It is the store that decides, so threads without any loop are told apart as well."""
    won, lost = [], []

    def write(number):
        try:
            srun(write_binary, f"{s3}/x", b"%d" % number, exclusive=True)
            won.append(number)
        except FileExistsError:
            lost.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    assert srun(read_binary, f"{s3}/x") == b"%d" % won[0]


def test_large_exclusive(mode, server, s3):
    """A large object is written exclusively, too; in parts no store could see to that."""
    mode.run(write_binary, f"{s3}/x", b"1" * LARGE, exclusive=True)
    with pytest.raises(FileExistsError):
        mode.run(write_binary, f"{s3}/x", b"2" * LARGE, exclusive=True)
    assert _is_whole(srun(read_binary, f"{s3}/x"))


def test_too_large_for_one_request(mode, s3, tmp_path):
    """What no store takes on a condition is refused before anything is sent."""
    with (tmp_path / "x").open("wb+") as file:
        file.truncate(_write.LARGEST_REQUEST + 1)  # it takes no space
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with pytest.raises(OSError, match="bytes") as raised:
        mode.run(write_binary, f"{s3}/x", content, exclusive=True)
    assert (raised.value.errno, raised.value.filename) == (errno.EFBIG, f"{s3}/x")
    with pytest.raises(OSError, match="bytes"):
        mode.run(copy, tmp_path / "x", f"{s3}/x", exclusive=True)


@pytest.fixture
def held(monkeypatch):
    """Hold the sending of a large object at its third part: what says so, and what goes on."""
    reached, gate = threading.Event(), threading.Event()
    real, calls = _write.check_cancelled, []

    def check():
        calls.append(None)
        if len(calls) == 4:  # one before the first part
            reached.set()
            assert gate.wait(20)
        real()

    monkeypatch.setattr(_write, "check_cancelled", check)
    yield reached, gate
    gate.set()


@pytest.mark.parametrize("existing", [True, False], ids=["replace", "create"])
def test_cancelled_between_two_parts(async_mode, server, s3, held, existing):
    """A large write that is cancelled leaves the old content, or none, and no parts."""
    reached, gate = held
    url = f"{s3}/x"
    if existing:
        srun(write_binary, url, b"old")
        reached.clear()

    async def body(context_vars):
        task = asyncio.create_task(write_binary(url, b"1" * LARGE, context_vars=context_vars))
        await asyncio.to_thread(reached.wait)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done(), "it ends only when the parts are thrown away"
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_mode.run(body)
    assert server.uploads() == 0
    assert srun(exists, url) is existing
    assert not existing or srun(read_binary, url) == b"old"


def test_content_that_fails_in_the_middle(mode, server, s3, monkeypatch):
    """An error between two parts is raised as it is, and leaves no parts."""
    calls = []

    def fail():
        calls.append(None)
        if len(calls) == 4:
            raise KeyError("in the middle")

    monkeypatch.setattr(_write, "check_cancelled", fail)
    with pytest.raises(KeyError, match="in the middle"):
        mode.run(write_binary, f"{s3}/x", b"1" * LARGE)
    assert server.uploads() == 0
    assert not srun(exists, f"{s3}/x")


def test_server_killed_in_the_middle(async_mode, link, held):
    """If the server dies between two parts, the error comes soon, and says what it is."""
    remote.configure("s3://bucket/own", **link.options(), retry_config={"max_retries": 1})
    reached, gate = held

    async def body(context_vars):
        url = "s3://bucket/own/x"
        task = asyncio.create_task(write_binary(url, b"1" * LARGE, context_vars=context_vars))
        await asyncio.to_thread(reached.wait)
        link.cut()
        gate.set()
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(15):
                await task

    async_mode.run(body)
