"""AprocManager: cleanup with a time-out, and what it cuts off."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import weakref

import pytest

from mt.aio.manager import AprocManager, CleanupTimeoutError, CutOff
from mt.aio.manager import _end as implementation


def test_timeout_not_reached(async_mode, turns):
    """A time-out that is long enough changes nothing."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(turns())
        await manager.cleanup(timeout=30)
        assert (manager.done, manager.failed) == (1, 0)

    async_mode.run(body)


@pytest.mark.parametrize("policy", ["raise", "silent"])
def test_timeout(async_mode, policy, waiting):
    """After the time-out all is cancelled, and the error lists it by name and place."""

    async def body(context_vars):
        manager = AprocManager(2, policy)
        await manager.send(asyncio.create_task(waiting(), name="first"))
        await manager.send(waiting())
        senders = [asyncio.ensure_future(manager.send(waiting())) for _ in range(2)]
        with pytest.raises(CleanupTimeoutError) as info:
            await manager.cleanup(timeout=0)
        await asyncio.gather(*senders)
        cut = info.value.cut_off
        assert [c.name for c in cut] == ["first"] + ["_waiting"] * 3
        assert [c.state for c in cut] == ["cancelled"] * 2 + ["not started"] * 2
        assert all("test_timeout.py:" in c.place for c in cut)
        assert "first (sent at " in str(info.value)
        assert (manager.pending, manager.running, manager.done, manager.failed) == (0, 0, 4, 4)
        await manager.cleanup()  # what was cut off is not reported again

    async_mode.run(body)


def test_timeout_and_errors(async_mode, failing, waiting):
    """Errors not reported yet are the cause of the time-out's error."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(failing(ValueError("x")))
        await manager.send(waiting())
        with pytest.raises(TimeoutError) as info:
            await manager.cleanup(timeout=0)
        assert isinstance(info.value.__cause__, ValueError)
        await manager.cleanup()

    async_mode.run(body)


def test_two_cleanups_at_once(async_mode, waiting):
    """Both tell what became of the aproc that both cut off."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(waiting())
        cleanups = [manager.cleanup(timeout=0) for _ in range(2)]
        errors = await asyncio.gather(*cleanups, return_exceptions=True)
        assert [[cut.state for cut in error.cut_off] for error in errors] == [["cancelled"]] * 2

    async_mode.run(body)


@pytest.mark.usefixtures("no_collection")
def test_the_error_is_let_go(async_mode, waiting):
    """It is in no cycle: whoever drops it has what its traceback refers to freed at once."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(waiting())
        try:
            await manager.cleanup(timeout=0)
        except CleanupTimeoutError as error:
            alive = weakref.ref(error)
        assert alive() is None

    async_mode.run(body)


def test_an_aproc_that_ends_by_itself_when_cancelled_is_not_cut_off(async_mode, turns, waiting):
    """One that finishes its work, and one that fails, are reported as what they are."""

    async def body(context_vars):
        async def stubborn(error):
            try:
                await waiting()
            except asyncio.CancelledError:
                if error is not None:
                    raise error from None

        manager = AprocManager()
        await manager.send(stubborn(None))
        await manager.send(stubborn(ValueError("x")))
        await turns()
        with pytest.raises(ValueError, match="x"):
            await manager.cleanup(timeout=0)
        assert (manager.done, manager.failed) == (2, 1)

    async_mode.run(body)


def test_an_aproc_that_does_not_obey(async_mode, monkeypatch, turns):
    """It is reported as still running, and stays with the manager."""
    monkeypatch.setattr(implementation, "GRACE", 0.01)

    async def body(context_vars):
        gate = asyncio.Event()

        async def stubborn():
            while not gate.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await gate.wait()

        manager = AprocManager()
        await manager.send(stubborn())
        await turns()
        with pytest.raises(CleanupTimeoutError) as info:
            await manager.cleanup(timeout=0)
        assert [c.state for c in info.value.cut_off] == ["still running"]
        assert manager.running == 1
        gate.set()
        await manager.cleanup()

    async_mode.run(body)


def test_cancelling_cleanup_while_it_cuts_off(async_mode, waiting):
    """What it had cut off by then is handled by the policy, since nobody gets the report."""

    async def body(context_vars):
        gate = asyncio.Event()

        async def slow_to_end():
            try:
                await waiting()
            finally:
                await gate.wait()

        manager = AprocManager(2)
        await manager.send(waiting())
        await manager.send(slow_to_end())
        held = asyncio.ensure_future(manager.send(waiting()))
        cleaning = asyncio.create_task(manager.cleanup(timeout=0))
        while manager.done < 2:
            await asyncio.sleep(0)
        cleaning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cleaning
        await held
        gate.set()
        with pytest.raises(asyncio.CancelledError, match="An aproc has been cancelled") as info:
            await manager.cleanup()
        assert len(info.value.__notes__) == 3

    async_mode.run(body)


def test_the_error_can_be_pickled():
    """A CleanupTimeoutError survives a trip between processes."""
    error = CleanupTimeoutError((CutOff("a", "b.py:3", "cancelled"),))
    copy = pickle.loads(pickle.dumps(error))
    assert copy.cut_off == error.cut_off
    assert type(copy).__module__ == "mt.aio.manager"


def test_an_aproc_that_answers_with_a_future(async_mode, monkeypatch, turns, waiting):
    """One that is cut off and returns a future, as a delayed write, lasts until that is done."""
    monkeypatch.setattr(implementation, "GRACE", 0.01)

    async def body(context_vars):
        late = asyncio.get_running_loop().create_future()

        async def begin():
            with contextlib.suppress(asyncio.CancelledError):
                await waiting()
            return late

        manager = AprocManager()
        await manager.send(begin())
        await turns()
        with pytest.raises(CleanupTimeoutError) as info:
            await manager.cleanup(timeout=0)
        assert [c.state for c in info.value.cut_off] == ["still running"]
        late.set_result(None)
        await manager.cleanup()
        assert (manager.running, manager.done, manager.failed) == (0, 1, 0)

    async_mode.run(body)


def test_an_aproc_that_answers_with_a_future_that_is_done(async_mode, turns, waiting):
    """One that is cut off but has brought its work to an end is not reported."""

    async def body(context_vars):
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)

        async def end():
            with contextlib.suppress(asyncio.CancelledError):
                await waiting()
            return done

        manager = AprocManager()
        await manager.send(end())
        await turns()
        await manager.cleanup(timeout=0)
        assert (manager.running, manager.done, manager.failed) == (0, 1, 0)

    async_mode.run(body)


def test_time_is_over_just_when_a_slot_gets_free(async_mode, turns):
    """What is held then does not start any more; other awaitables are dropped as coroutines are."""

    class Foreign:
        def __await__(self):
            yield from turns().__await__()

    async def body(context_vars):
        manager = AprocManager(1, "silent")
        slot = asyncio.get_running_loop().create_future()
        await manager.send(slot)
        senders = [asyncio.ensure_future(manager.send(each)) for each in (Foreign(), turns())]
        await turns()
        cleaning = asyncio.create_task(manager.cleanup(timeout=0))
        await asyncio.sleep(0)
        slot.set_result(None)
        with pytest.raises(CleanupTimeoutError) as info:
            await cleaning
        await asyncio.gather(*senders)
        assert [c.state for c in info.value.cut_off] == ["not started"] * 2
        assert (manager.pending, manager.running, manager.done, manager.failed) == (0, 0, 3, 2)
        await manager.cleanup()

    async_mode.run(body)
