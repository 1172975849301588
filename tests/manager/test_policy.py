"""AprocManager: what becomes of an error or a cancellation under each policy."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mt.aio.core import srun
from mt.aio.manager import AprocManager


async def _cancelled():
    await asyncio.sleep(0)
    raise asyncio.CancelledError


def test_unknown_policy():
    """Reference, handle_exception: one of 'raise', 'silent', 'warn'."""
    with pytest.raises(ValueError, match="'raise', 'silent', 'warn', not 'ignore'"):
        AprocManager(handle_exception="ignore")


def test_warn_needs_a_logger():
    """Reference, handle_exception: 'warn' uses the provided logger, so there must be one."""
    with pytest.raises(ValueError, match="needs a logger"):
        AprocManager(handle_exception="warn")


def test_cancelled_raise(async_mode, turns):
    """Reference, 'raise', and mtbase: a cancelled aproc is a CancelledError from cleanup."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(_cancelled())
        await manager.send(_cancelled())
        await turns()
        await manager.send(asyncio.sleep(0))  # not from send, which would look cancelled itself
        with pytest.raises(asyncio.CancelledError, match="An aproc has been") as info:
            await manager.cleanup()
        assert info.value.args == ("An aproc has been cancelled.",)
        assert len(info.value.__notes__) == 2
        assert asyncio.current_task().cancelling() == 0
        assert manager.failed == 2
        await manager.cleanup()

    async_mode.run(body)


def test_cancelled_and_failed(async_mode, failing):
    """Errors and a cancellation come together in one group."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(_cancelled())
        await manager.send(failing(ValueError("x")))
        with pytest.raises(BaseExceptionGroup) as info:
            await manager.cleanup()
        kinds = [type(error) for error in info.value.exceptions]
        assert kinds == [ValueError, asyncio.CancelledError]

    async_mode.run(body)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ValueError("x")])
def test_silent(async_mode, error, failing):
    """Reference, 'silent': ignore the exception; the counters still tell."""

    async def body(context_vars):
        manager = AprocManager(handle_exception="silent")
        await manager.send(failing(error))
        await manager.cleanup()
        assert (manager.done, manager.failed) == (1, 1)

    async_mode.run(body)


def test_warn(async_mode, caplog, failing):
    """Reference, 'warn': use the provided logger to warn the user."""

    async def body(context_vars):
        manager = AprocManager(handle_exception="warn", logger=logging.getLogger("aprocs"))
        await manager.send(failing(ValueError("x")))
        await manager.send(_cancelled())
        await manager.cleanup()

    async_mode.run(body)
    records = [record for record in caplog.records if record.name == "aprocs"]
    assert [record.levelname for record in records] == ["WARNING", "WARNING"]
    assert "_failing" in records[0].getMessage()
    assert "ValueError: x" in records[0].getMessage()
    assert "_cancelled" in records[1].getMessage()
    assert "test_policy.py:" in records[1].getMessage()


def test_silent_is_silent_even_with_a_logger(async_mode, failing):
    """The logger is for policy 'warn' alone. Policy and logger can be read, as in mtbase."""

    class Logger:
        def __init__(self):
            self.calls = 0

        def warning(self, *args):
            self.calls += 1

    async def body(context_vars):
        logger = Logger()
        manager = AprocManager(handle_exception="silent", logger=logger)
        assert (manager.handle_exception, manager.logger) == ("silent", logger)
        await manager.send(failing(ValueError("x")))
        await manager.send(_cancelled())
        await manager.cleanup()
        assert (manager.failed, logger.calls) == (2, 0)

    async_mode.run(body)


def test_on_done_hears_of_a_cancelled_aproc(async_mode):
    """It is given a CancelledError, whatever the policy."""

    async def body(context_vars):
        heard = []
        manager = AprocManager(1, "silent", on_done=lambda *call: heard.append(call))
        await manager.send(_cancelled())
        await manager.cleanup()
        ((name, error),) = heard
        assert name == "_cancelled"
        assert isinstance(error, asyncio.CancelledError)

    async_mode.run(body)


def test_spawn_raises_at_once_in_sync_mode():
    """There the aproc is done when spawn returns; its error has been reported then."""

    async def body(context_vars):
        async def fail(context_vars):
            raise ValueError("x")

        manager = AprocManager()
        with pytest.raises(ValueError, match="x"):
            await manager.spawn(fail, context_vars=context_vars)
        await manager.cleanup()
        assert (manager.done, manager.failed) == (1, 1)

    srun(body)
