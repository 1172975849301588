"""AprocManager: errors of a manager that nobody cleans up."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap

import pytest

from mt.aio.manager import AprocManager


@pytest.mark.parametrize("texts", [["only"], ["first", "second"]])
def test_a_manager_that_is_dropped_tells_the_log(async_mode, failing, turns, caplog, texts):
    """Whoever forgets `cleanup` still hears of errors; once reported, they are not told again."""

    async def body(context_vars):
        manager = AprocManager()
        for text in texts:
            await manager.send(failing(ValueError(text)))
        await turns()
        del manager

    async def cleaned(context_vars):
        manager = AprocManager()
        await manager.send(failing(ValueError("told")))
        with pytest.raises(ValueError, match="told"):
            await manager.cleanup()

    async_mode.run(cleaned)
    gc.collect()
    assert not [record for record in caplog.records if record.name == "mt.aio.manager"]
    async_mode.run(body)
    gc.collect()
    (record,) = [record for record in caplog.records if record.name == "mt.aio.manager"]
    assert "dropped before anybody was told" in record.getMessage()
    told = record.exc_info[1]
    errors = [told] if len(texts) == 1 else told.exceptions
    assert [str(error) for error in errors] == texts


@pytest.mark.slow
def test_a_program_that_ends_too_early_tells_the_log():
    """So does a manager that nobody drops before the end."""
    program = """
    import asyncio
    from mt.aio.manager import AprocManager

    async def fail():
        raise ValueError("at the end")

    async def main():
        await manager.send(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    manager = AprocManager()
    asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "dropped before anybody was told" in ended.stderr
    assert "ValueError: at the end" in ended.stderr
