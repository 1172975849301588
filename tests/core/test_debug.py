"""MT_AIO_DEBUG=1: who blocks the event loop."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from mt.aio.core import _watch
from mt.aio.core._watch import LoopWatch

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, sys, time
from mt.aio.core import sleep
from mt.aio.core.lowlevel import is_async

async def culprit(context_vars):
    assert is_async(context_vars) is context_vars["async"]
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


def test_somebody_else_is_blamed_in_general():
    """A coroutine without a mode, on the second loop of two; asking outside a loop is fine."""
    program = """
import asyncio, time
from mt.aio.core import sleep
from mt.aio.core.lowlevel import is_async

is_async({"async": True})

async def plain():
    await sleep(0, context_vars={"async": True})
    time.sleep(0.5)

asyncio.run(sleep(0, context_vars={"async": True}))
asyncio.run(plain())
"""
    environment = os.environ | {"MT_AIO_DEBUG": "1"}
    command = [sys.executable, "-c", program]
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "somebody blocks the event loop for more than 100 ms" in text.stderr
    assert ", in plain" in text.stderr


class _Loop:
    """A loop that answers no knock; it is closed as soon as somebody knocks, or merely idle."""

    def __init__(self, *, closing):
        self.closing = closing
        self.closed = False
        self.knocked = threading.Event()

    def is_running(self):
        return not self.closed

    def is_closed(self):
        return self.closed

    def call_soon_threadsafe(self, callback):
        self.knocked.set()
        if self.closing:
            self.closed = True
            raise RuntimeError("Event loop is closed")


def test_a_loop_that_is_closed_meanwhile():
    """It blocks nobody, and is not watched any longer."""
    reports, loop = [], _Loop(closing=True)
    watch = LoopWatch(loop, 0.01, lambda *report: reports.append(report))
    watch._watcher.join(30)
    assert not watch._watcher.is_alive()
    assert not reports


def test_a_loop_that_is_late_but_idle(monkeypatch):
    """A machine that is too busy to answer in time is nobody's fault."""
    reports, loop = [], _Loop(closing=False)
    monkeypatch.setattr(_watch, "_is_idle", lambda frame: True)
    watch = LoopWatch(loop, 0.01, lambda *report: reports.append(report))
    assert loop.knocked.wait(30)
    watch._look()
    watch.stop()
    assert not reports


def test_the_frames_of_a_loop_are_idle():
    """What asyncio itself or its selector is at is no blocking."""

    def frame(filename):
        namespace = {}
        exec(compile("import sys; frame = sys._getframe()", filename, "exec"), namespace)
        return namespace["frame"]

    assert _watch._is_idle(frame(f"lib{os.sep}asyncio{os.sep}base_events.py"))
    assert _watch._is_idle(frame(f"lib{os.sep}selectors.py"))
    assert not _watch._is_idle(frame("own.py"))
