"""Servers that do not answer, or are gone: against real ones."""

from __future__ import annotations

import asyncio
import time

import pytest

from mt.aio import remote
from mt.aio.core import _pool
from mt.aio.fs import read_binary, write_binary
from mt.aio.remote import _write

pytestmark = pytest.mark.slow

URL = "s3://bucket/own/x"
ONCE_MORE = {"retry_config": {"max_retries": 1}}
ACTS = {
    "read": (read_binary, {}),
    "write": (write_binary, {"buf": b"1"}),
    "write exclusively": (write_binary, {"buf": b"1", "exclusive": True}),
    "write in parts": (write_binary, {"buf": bytes(2 * _write.PART)}),
}


@pytest.fixture
def frozen(link):
    """A server that accepts connections and answers nothing."""
    link.stop()
    yield link
    link.drop()


@pytest.mark.parametrize("act", ACTS)
def test_frozen_server(mode, frozen, act):
    """A server that does not answer is a TimeoutError, after the read timeout and the retries."""
    remote.configure("s3://bucket/own", **frozen.options(read_timeout="50ms"), **ONCE_MORE)
    func, options = ACTS[act]
    begun = time.monotonic()
    with pytest.raises(TimeoutError) as raised:
        mode.run(func, URL, **options)
    assert raised.value.filename == URL
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("act", ACTS)
def test_killed_server(mode, dead_link, act):
    """A server that is gone is a ConnectionError, after the retries."""
    remote.configure("s3://bucket/own", **dead_link.options(), **ONCE_MORE)
    func, options = ACTS[act]
    begun = time.monotonic()
    with pytest.raises(ConnectionError) as raised:
        mode.run(func, URL, **options)
    assert raised.value.filename == URL
    assert time.monotonic() - begun < 15


def test_a_dropped_read(async_mode, frozen):
    """A read from a server that does not answer ends at once when it is cancelled."""
    remote.configure("s3://bucket/own", **frozen.options())

    async def body(context_vars):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await read_binary(URL, context_vars=context_vars)

    begun = time.monotonic()
    async_mode.run(body)
    assert time.monotonic() - begun < 10


def test_a_cancelled_write_is_waited_for(async_mode, frozen):
    """A small write that is on its way when it is cancelled has an end before its coroutine."""
    remote.configure("s3://bucket/own", **frozen.options())

    async def body(context_vars):
        task = asyncio.create_task(write_binary(URL, b"new", context_vars=context_vars))
        async with asyncio.timeout(20):
            while not frozen.ends:  # nobody has connected
                await asyncio.sleep(0.001)
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not task.done()
        frozen.go_on()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await read_binary(URL, context_vars=context_vars) == b"new"

    async_mode.run(body)


def test_local_files_do_not_wait(async_mode, frozen, tmp_path):
    """However many writes wait for a store that does not answer, local files are served."""
    remote.configure("s3://bucket/own", **frozen.options())

    async def body(context_vars):
        urls = [f"{URL}-{number}" for number in range(_pool.MOST + 2)]
        stuck = [
            asyncio.create_task(write_binary(url, b"1", context_vars=context_vars)) for url in urls
        ]
        stuck.append(await write_binary(URL, b"1", None, context_vars, file_write_delayed=True))
        await asyncio.sleep(0)
        async with asyncio.timeout(25):
            await write_binary(tmp_path / "x", b"local", context_vars=context_vars)
            assert await read_binary(tmp_path / "x", context_vars=context_vars) == b"local"
        assert not any(each.done() for each in stuck)
        frozen.go_on()
        assert await asyncio.gather(*stuck) == [1] * len(stuck)

    async_mode.run(body)
