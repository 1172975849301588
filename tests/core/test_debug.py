"""MT_AIO_DEBUG=1: who blocks the event loop."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, sys, time
from mt.aio.core import sleep

async def culprit(context_vars):
    await sleep(0, context_vars=context_vars)
    time.sleep({secs})  # here
    await sleep(0, context_vars=context_vars)

LOOP
print("mt.aio.core._watch" in sys.modules)
"""
LOOPS = {
    "async": "asyncio.run(culprit({'async': True}))",
    "sync": "from mt.aio.core import srun; srun(culprit)",
    "uvloop": "import uvloop; uvloop.run(culprit({'async': True}))",
}


def _run(loop, secs, debug):
    program = PROGRAM.replace("LOOP", LOOPS[loop]).replace("{secs}", str(secs))
    environment = os.environ | {"MT_AIO_DEBUG": debug}
    for name in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE"):  # asyncio's own complaint of slow steps
        environment.pop(name, None)
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("loop", ["async", "uvloop"])
def test_the_culprit_is_named(loop):
    """The log has the asyn function's name and the stack, while it blocks."""
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    text = _run(loop, 0.5, "1").stderr
    assert "the asyn function culprit blocks the event loop for more than 100 ms" in text
    assert ", in culprit" in text
    assert text.count("blocks the event loop") == 1


def test_sync_mode_may_block():
    """There is no event loop to block."""
    assert _run("sync", 0.3, "1").stderr == ""


def test_who_does_not_block_is_not_named():
    """A function that gives way in time is left in peace."""
    ended = _run("async", 0, "1")
    assert ended.stderr == ""
    assert ended.stdout == "True\n"


def test_without_the_variable_nothing_is_watched():
    """The watching code is not even loaded."""
    ended = _run("async", 0.3, "")
    assert ended.stderr == ""
    assert ended.stdout == "False\n"
