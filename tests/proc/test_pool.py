"""Pools: who gets a message, what a death means to the others, many messages at once."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcessPool, lowlevel

LIMIT = 10


@pytest.fixture
def pool(caller):
    """Give a pool of two that is closed afterwards."""
    with BgProcessPool(caller, 2) as pool:
        yield pool


def test_messages_go_to_the_least_busy(async_mode, pool, tmp_path):
    """Two at once go to two processes."""

    def wait_for(path):
        while not os.path.exists(path):
            time.sleep(0.005)
        return os.getpid()

    async def body(context_vars):
        slow = asyncio.ensure_future(pool.send((wait_for, str(tmp_path / "go"))))
        await asyncio.sleep(0)
        quick = {await pool.send((os.getpid,)) for _ in range(5)}
        (tmp_path / "go").touch()
        return quick, await slow

    quick, slow = async_mode.run(body)
    assert len(quick) == 1
    assert slow not in quick


def test_a_dead_member_is_replaced(mode, pool):
    """Its own message fails; the others and the later ones do not."""

    async def body(context_vars):
        with pytest.raises(lowlevel.ChildDiedError, match="status 3"):
            await pool.send((os._exit, 3), recv_timeout=LIMIT, context_vars=context_vars)
        return [
            await pool.send((abs, -n), recv_timeout=LIMIT, context_vars=context_vars)
            for n in range(6)
        ]

    assert mode.run(body) == list(range(6))


def test_only_its_own_messages_fail(async_mode, pool):
    """What another member has in hand goes on."""

    async def body(context_vars):
        sends = [pool.send((time.sleep, 0.2)), pool.send((os._exit, 3))]
        return await asyncio.gather(*sends, return_exceptions=True)

    slept, died = async_mode.run(body)
    assert slept is None
    assert isinstance(died, lowlevel.ChildDiedError)


def test_map(mode, pool):
    """The replies come in the order of the messages, in both modes, from both members."""
    seen = []

    async def body(context_vars):
        messages = [(lambda n: (n * n, os.getpid()), n) for n in range(30)]
        replies = pool.map(messages, progress=lambda *a: seen.append(a), context_vars=context_vars)
        return [reply async for reply in replies]

    replies = mode.run(body)
    assert [value for value, _ in replies] == [n * n for n in range(30)]
    assert {pid for _, pid in replies} == {member.pid for member in pool.members}
    assert seen == [(n, 30) for n in range(1, 31)]


def test_map_works_side_by_side_in_sync_mode(pool, tmp_path):
    """Each of two messages waits for the other one's file: one after the other, both would hang."""

    def meet(mine, other):
        open(mine, "w").close()
        deadline = time.monotonic() + LIMIT
        while not os.path.exists(other):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return True

    a, b = str(tmp_path / "a"), str(tmp_path / "b")

    async def body(context_vars):
        messages = [(meet, a, b), (meet, b, a)]
        return [r async for r in pool.map(iter(messages), LIMIT, context_vars=context_vars)]

    assert srun(body) == [True, True]


def test_an_error_ends_map(mode, pool):
    """The replies before it have come; the pool is as good as before."""
    got = []

    async def body(context_vars):
        messages = [(abs, -1), (abs, "x"), (abs, -3), (abs, -4), (abs, -5)]
        replies = pool.map(messages, context_vars=context_vars)
        got.append(await anext(replies))
        with pytest.raises(RuntimeError, match="TypeError"):
            await anext(replies)
        return await pool.send((abs, -2), context_vars=context_vars)

    assert mode.run(body) == 2
    assert got == [1]
    assert pool._busy == [0, 0]


def test_a_progress_bar(pool, capsys):
    """With tqdm."""
    pytest.importorskip("tqdm")

    async def body(context_vars):
        replies = pool.map([(abs, -1)] * 4, progress=True, context_vars=context_vars)
        return [reply async for reply in replies]

    assert srun(body) == [1] * 4
    assert "4/4" in capsys.readouterr().err


def test_a_pool_has_members(caller):
    """At least one."""
    with pytest.raises(ValueError, match="at least 1"):
        BgProcessPool(caller, 0)


def test_a_constructor_that_raises(caller):
    """Those that were started are ended."""
    made = []

    def build():
        if made:
            raise LookupError("no more")
        made.append(caller())
        return made[0]

    with pytest.raises(LookupError):
        BgProcessPool(build, 2)
    assert made[0]._link.ended


def test_a_closed_pool(mode, caller):
    """It says so, and starts nothing."""

    async def body(context_vars):
        async with BgProcessPool(caller, 2, context_vars=context_vars) as pool:
            assert await pool.send((abs, -1)) == 1
        with pytest.raises(lowlevel.ChildClosedError):
            await pool.send((abs, -1))
        return [member._link.ended for member in pool.members]

    assert mode.run(body) == [True, True]
