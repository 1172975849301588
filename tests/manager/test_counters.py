"""AprocManager: live counters, `on_done`, and what is loaded for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest

from mt.aio.core import sleep
from mt.aio.manager import AprocManager


def test_counters(async_mode):
    """The live counters follow an aproc on its way."""

    async def body(context_vars):
        gate = asyncio.Event()
        manager = AprocManager(1, "silent")
        counts = lambda: (manager.pending, manager.running, manager.done, manager.failed)  # noqa: E731  # short
        assert counts() == (0, 0, 0, 0)
        await manager.send(gate.wait())
        held = asyncio.ensure_future(manager.send(asyncio.sleep(0, 1 // 1)))
        assert counts() == (1, 1, 0, 0)
        gate.set()
        await held
        await manager.cleanup()
        assert counts() == (0, 0, 2, 0)

    async_mode.run(body)


def test_on_done(mode):
    """on_done is called once for each aproc, with its name and its error."""

    async def fail(context_vars):
        await sleep(0, context_vars=context_vars)
        raise KeyError("x")

    async def body(context_vars):
        calls = []
        manager = AprocManager(1, "silent", on_done=lambda name, error: calls.append((name, error)))
        await manager.spawn(sleep, 0, context_vars=context_vars, name="good")
        await manager.spawn(fail, context_vars=context_vars, name="bad")
        await manager.cleanup()
        assert calls[0] == ("good", None)
        assert calls[1][0] == "bad"
        assert isinstance(calls[1][1], KeyError)
        assert len(calls) == 2

    mode.run(body)


def test_import_is_light():
    """Importing the piece does not import asyncio."""
    code = "import sys, mt.aio.manager; print('asyncio' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout.strip() == b"False"


@pytest.mark.slow
def test_sync_mode_loads_no_asyncio():
    """Nor does `send`, to say what to use instead."""
    program = """
    import sys
    from mt.aio.core import sleep, srun
    from mt.aio.manager import AprocManager

    class Thing:
        def __await__(self):
            yield

    async def body(context_vars):
        async with AprocManager(on_done=print) as manager:
            await manager.spawn(sleep, 0, context_vars=context_vars)
        await manager.send(Thing())

    try:
        srun(body)
    except RuntimeError as error:
        print(error, "asyncio" in sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "use spawn(asyn_func, ..., context_vars=context_vars) instead False" in ended.stdout


def test_an_aproc_counts_itself(mode):
    """While it runs it is running, in synchronous mode as well."""
    seen = []

    async def look(manager, context_vars):
        seen.append((manager.pending, manager.running, manager.done))

    async def body(context_vars):
        async with AprocManager() as manager:
            await manager.spawn(look, manager, context_vars=context_vars)

    mode.run(body)
    assert seen == [(0, 1, 0)]
