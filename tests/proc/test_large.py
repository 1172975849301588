"""Large messages: both ways, at once, and while the other side is writing, too."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

from mt.aio.core import srun

LIMIT = 30
pytestmark = pytest.mark.slow


def test_20_megabytes_both_ways(mode, start):
    """Bytes arrive as they were."""
    data = bytes(range(256)) * 80_000
    assert mode.run(start().send, (bytes, data), recv_timeout=LIMIT) == data


def test_20_megabytes_of_numbers_both_ways(mode, start):
    """Arrays arrive as they were, and may be written to on either side."""
    np = pytest.importorskip("numpy")
    array = np.arange(2_500_000, dtype="f8").reshape(500, -1)

    def add(array):
        array += 1
        return array, array[::2]

    whole, half = mode.run(start().send, (add, array), recv_timeout=LIMIT)
    assert (whole == array + 1).all()
    assert (half == (array + 1)[::2]).all()
    whole[0] = 0


def test_many_arrays_in_one_message(mode, start):
    """More buffers than one system call takes."""
    np = pytest.importorskip("numpy")
    arrays = [np.full(9000, number) for number in range(150)]
    reply = mode.run(start().send, (lambda arrays: arrays, arrays), recv_timeout=LIMIT)
    assert [array[-1] for array in reply] == list(range(150))
    assert all((a == b).all() for a, b in zip(arrays, reply, strict=True))


def test_both_directions_full(async_mode, start):
    """Large replies come while large messages go: neither side waits for the other for ever."""
    process = start()
    data = b"x" * 5_000_000

    async def body(context_vars):
        async with asyncio.timeout(LIMIT):
            replies = await asyncio.gather(*[process.send((bytes, data)) for _ in range(6)])
        return {len(reply) for reply in replies}

    assert async_mode.run(body) == {len(data)}


def test_both_directions_full_in_sync_mode(start):
    """Likewise with threads."""
    process, data, sizes = start(), b"x" * 5_000_000, []

    def work():
        sizes.append(len(srun(process.send, (bytes, data), recv_timeout=LIMIT)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [len(data)] * 6


def test_much_output_while_a_large_message_goes(mode, start):
    """The child prints a megabyte before it replies with many."""

    def prints(data):
        sys.stdout.write(("y" * 99 + "\n") * 10_001)
        return data

    process, data = start(), b"x" * 5_000_000
    assert mode.run(process.send, (prints, data), recv_timeout=LIMIT) == data
    assert len(process.text("stdout")) == 100 * 10_001


def test_the_loop_goes_on_meanwhile(async_mode, start, tmp_path):
    """While a child is busy with a message, the loop is free: free to end the child's work."""
    process, gate = start(), tmp_path / "gate"

    def wait(path):
        while not os.path.exists(path):
            time.sleep(0.005)

    async def body(context_vars):
        await process.send((len, ""))
        sent = asyncio.ensure_future(process.send((wait, gate)))
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not sent.done()
        gate.touch()
        await sent

    async_mode.run(body)


def test_a_message_changed_after_the_call(async_mode, start):
    """It is pickled before the call first suspends."""
    process, message = start(), [1, 2, 3]

    async def body(context_vars):
        sent = asyncio.ensure_future(process.send((list, message)))
        await asyncio.sleep(0)
        message.clear()
        return await sent

    assert async_mode.run(body) == [1, 2, 3]
