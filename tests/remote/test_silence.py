"""Servers that do not answer, or are gone: against real ones."""

from __future__ import annotations

import asyncio
import time

import pytest

from mt.aio import remote
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
def frozen(idle_server):
    """A server that accepts connections and answers nothing."""
    idle_server.stop()
    yield idle_server
    idle_server.go_on()


@pytest.mark.parametrize("act", ACTS)
def test_frozen_server(mode, frozen, act):
    """A server that does not answer is a TimeoutError, after the read timeout and the retries."""
    remote.configure("s3://bucket/own", **frozen.options(read_timeout="100ms"), **ONCE_MORE)
    func, options = ACTS[act]
    begun = time.monotonic()
    with pytest.raises(TimeoutError) as raised:
        mode.run(func, URL, **options)
    assert raised.value.filename == URL
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("act", ACTS)
def test_killed_server(mode, dead_server, act):
    """A server that is gone is a ConnectionError, after the retries."""
    remote.configure("s3://bucket/own", **dead_server.options(), **ONCE_MORE)
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
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.sleep(0.2)
        assert not task.done()
        frozen.go_on()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await read_binary(URL, context_vars=context_vars) == b"new"

    async_mode.run(body)
