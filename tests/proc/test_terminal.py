"""Ctrl-C, typed in a terminal: the whole group of processes is interrupted at once."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import threading

import pytest

PROGRAM = """
import asyncio, fcntl, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from mt.aio.core import srun
from mt.aio.proc import BgProcess

class Caller(BgProcess):
    def child_handle_message(self, msg):
        func, *args = msg
        return func(*args)
    def on_event(self, event):
        print(event[0], type(event[1]).__name__, flush=True)
    def on_write(self, stream, text):
        print(text, end="", flush=True)

def work():
    print("ready", flush=True)
    time.sleep(600)

process, other = Caller(), Caller()

async def idle():
    print("ready", flush=True)
    await asyncio.sleep(600)

async def busy():
    await process.send((work,))

def interrupted(run, *args):
    try:
        run(*args)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print(srun(process.send, (len, "abc")), srun(other.send, (len, "abc")), flush=True)

srun(other.send, (len, ""))
srun(process.send, (len, ""))
{first}
{second}
process.close()
other.close()
"""
IDLE = "interrupted(asyncio.run, idle())"
BUSY = "interrupted(asyncio.run, busy())"


def _typed(first, second):
    """Run the program in a terminal, type Ctrl-C when it is ready, return what it prints."""
    keyboard, terminal = pty.openpty()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, keyboard)
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(first=first, second=second)],
            stdin=terminal,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        os.close(terminal)
        stack.enter_context(program)
        timer = threading.Timer(30, program.kill)
        timer.start()
        stack.callback(timer.join)
        stack.callback(timer.cancel)
        lines = []
        for line in program.stdout:
            lines.append(line.strip())
            if lines[-1] == "ready":
                os.write(keyboard, b"\x03")
        assert program.wait(20) == 0
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("first", [IDLE, BUSY], ids=["idle", "busy"])
def test_ctrl_c(first):
    """The parent gets KeyboardInterrupt; a child tells of it or its handler gets it; both live.

    It happens twice: the second time is no different.
    """
    lines = _typed(first, BUSY)
    assert lines.count("ready") == lines.count("interrupted") == 2
    assert lines.count("3 3") == 2
    # The idle child tells of each, the one with a handler at work does not.
    told = lines.count("ignored_exception KeyboardInterrupt")
    assert told == (3 if first == IDLE else 2)
    assert lines[-2:] == ["exit NoneType"] * 2
