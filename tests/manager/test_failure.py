"""AprocManager: what happens to errors and cancellations."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

from mt.aio.core import sleep
from mt.aio.manager import AprocManager


def test_raise_from_cleanup(async_mode, failing):
    """Reference, 'raise': the caught exception is re-raised, as itself, once."""

    async def body(context_vars):
        error = ValueError("x")
        manager = AprocManager()
        await manager.send(failing(error))
        with pytest.raises(ValueError, match="x") as info:
            await manager.cleanup()
        assert info.value is error
        await manager.cleanup()
        assert (manager.done, manager.failed) == (1, 1)

    async_mode.run(body)


@pytest.mark.parametrize("kind", ["coroutine", "task", "spawned"])
def test_raise_from_the_next_send(async_mode, turns, failing, kind):
    """The next send takes its aproc over first, then raises the error of an earlier one."""

    async def body(context_vars):
        manager = AprocManager()
        done = []

        async def good(context_vars):
            done.append(1)

        await manager.send(failing(ValueError("x")))
        await turns()
        if kind == "spawned":
            sending = manager.spawn(good, context_vars=context_vars)
        elif kind == "task":
            sending = manager.send(asyncio.ensure_future(good(context_vars)))
        else:
            sending = manager.send(good(context_vars))
        with pytest.raises(ValueError, match="x"):
            await sending
        await manager.cleanup()
        assert done == [1]

    async_mode.run(body)


def test_several_errors_come_as_a_group(async_mode, failing):
    """Several errors are raised together, each one once."""

    async def body(context_vars):
        errors = [ValueError("x"), KeyError("y"), OSError("z")]
        manager = AprocManager()
        for error in errors:
            await manager.send(failing(error))
        with pytest.raises(ExceptionGroup, match="several aprocs failed") as info:
            await manager.cleanup()
        assert list(info.value.exceptions) == errors
        await manager.cleanup()

    async_mode.run(body)


def test_an_error_says_where_its_aproc_was_sent(async_mode, failing):
    """A note names the aproc and the line that sent it."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(failing(ValueError("x")))
        with pytest.raises(ValueError, match="x") as info:
            await manager.cleanup()
        (note,) = info.value.__notes__
        assert "_failing (sent at " in note
        assert "test_failure.py:" in note

    async_mode.run(body)


def test_a_traceback_shows_who_failed_and_who_was_told(async_mode, failing):
    """The manager's bookkeeping has left no frame in it; the report has."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(failing(ValueError("x")))
        with pytest.raises(ValueError, match="x") as info:
            await manager.cleanup()
        names = [entry.name for entry in info.traceback]
        assert names[0] == "body"
        assert names[-2:] == ["report", "_failing"]
        assert "_finished" not in names

    async_mode.run(body)


def test_errors_are_reported_exactly_once(async_mode, failing):
    """With concurrent senders and cleaners, each error comes out in exactly one place."""

    async def body(context_vars):
        manager = AprocManager(4)
        seen = []

        def see(error):
            if isinstance(error, BaseExceptionGroup):
                seen.extend(map(str, error.exceptions))
            else:
                seen.append(str(error))

        async def sender(base):
            for number in range(base, base + 20):
                try:
                    await manager.send(failing(ValueError(number)))
                except (ValueError, ExceptionGroup) as error:
                    see(error)

        async def cleaner():
            try:
                await manager.cleanup()
            except (ValueError, ExceptionGroup) as error:
                see(error)

        await asyncio.gather(*(sender(100 * n) for n in range(5)), cleaner(), cleaner())
        await cleaner()
        assert sorted(seen) == sorted(str(100 * n + k) for n in range(5) for k in range(20))

    async_mode.run(body)


def test_an_aproc_that_sends_is_not_told_of_errors(async_mode, turns, failing):
    """Errors of others are not thrown into an aproc, which would fail of them, too."""

    async def body(context_vars):
        manager = AprocManager()
        done = []

        async def good():
            await turns()
            await manager.send(asyncio.sleep(0))
            done.append(1)

        await manager.send(failing(ValueError("x")))
        await manager.send(good())
        with pytest.raises(ValueError, match="x"):
            await manager.cleanup()
        assert done == [1]

    async_mode.run(body)


def test_errors_kept_are_bounded(async_mode):
    """The first 100 errors are kept, the rest is counted."""

    async def body(context_vars):
        manager = AprocManager()
        for number in range(130):
            # Futures that fail all in one turn, so that no send finds an error to raise.
            future = asyncio.get_running_loop().create_future()
            future.set_exception(ValueError(number))
            await manager.send(future)
        with pytest.raises(ExceptionGroup) as info:
            await manager.cleanup()
        assert [error.args[0] for error in info.value.exceptions] == list(range(100))
        assert any("30 more" in note for note in info.value.__notes__)

    async_mode.run(body)


def test_an_error_that_takes_no_note(async_mode, failing):
    """An exception class that refuses new attributes is reported all the same."""

    class FrozenError(Exception):
        def __setattr__(self, name, value):
            raise AttributeError(name)

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(failing(FrozenError()))
        with pytest.raises(FrozenError):
            await manager.cleanup()

    async_mode.run(body)


def test_a_failing_callback_is_reported(async_mode):
    """What on_done raises stops nothing and is raised by cleanup, whatever the policy."""

    async def body(context_vars):
        def on_done(name, error):
            raise LookupError(name)

        manager = AprocManager(1, "silent", on_done=on_done)
        await manager.send(asyncio.sleep(0))
        with pytest.raises(LookupError):
            await manager.cleanup()
        assert manager.done == 1

    async_mode.run(body)


def test_an_error_does_not_disturb_other_aprocs(async_mode, turns, failing):
    """A failure cancels no sibling and frees its slot."""

    async def body(context_vars):
        done = []

        async def good():
            await turns()
            done.append(1)

        manager = AprocManager(1, "silent")
        await manager.send(failing(ValueError("x")))
        await manager.send(good())
        await manager.send(good())
        await manager.cleanup()
        assert done == [1, 1]

    async_mode.run(body)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_exits_go_the_way_asyncio_sends_them(kind, failing):
    """KeyboardInterrupt and SystemExit end the loop and are not reported a second time."""
    manager = AprocManager()

    async def body():
        await manager.send(failing(kind()))
        await asyncio.sleep(3600)

    with pytest.raises(kind):
        asyncio.run(body())
    asyncio.run(manager.cleanup())
    assert (manager.done, manager.failed) == (1, 1)


def test_a_reported_error_is_released(async_mode, turns, failing):
    """Once reported, an error and its frames are not kept by the manager."""

    async def body(context_vars):
        class OwnError(Exception):
            pass

        manager = AprocManager()
        error = OwnError()
        alive = weakref.ref(error)
        await manager.send(failing(error))
        del error
        with contextlib.suppress(OwnError):
            await manager.cleanup()
        await turns()
        gc.collect()
        assert alive() is None

    async_mode.run(body)


@pytest.mark.usefixtures("no_collection")
def test_a_reported_error_is_in_no_cycle(mode):
    """Whoever drops it has what its traceback refers to freed at once."""

    class OwnError(Exception):
        """One that can be referred to weakly."""

    async def fail(context_vars):
        raise OwnError

    async def body(context_vars):
        manager = AprocManager()
        try:
            await manager.spawn(fail, context_vars=context_vars)
            await manager.cleanup()
        except OwnError as error:
            alive = weakref.ref(error)
        await sleep(0, context_vars=context_vars)
        assert alive() is None

    mode.run(body)
