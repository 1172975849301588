"""What a queue keeps: made once in each process, whatever other threads do meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from types import SimpleNamespace
from weakref import WeakValueDictionary

import pytest

from mt.aio.proc import _exit, _queue_remote
from mt.aio.proc._queue_kept import kept

NAME = "_mt_aio_tried"


class Thing:
    """Something to be kept."""

    def __init__(self, q):
        self.q = q
        self.here = True

    def belongs_here(self):
        """Whether it is not to be replaced."""
        return self.here


def test_it_is_kept_until_it_is_of_another_process():
    """A forked copy is replaced."""
    q = SimpleNamespace()
    first = kept(q, NAME, Thing)
    assert first.q is q
    assert kept(q, NAME, Thing) is first
    first.here = False
    second = kept(q, NAME, Thing)
    assert second is not first
    assert kept(q, NAME, Thing) is second


def test_threads_that_come_at_once_share_one():
    """Whoever comes while it is being made waits for it."""
    q, made, found = SimpleNamespace(), [], []
    begun, gate = threading.Event(), threading.Event()

    def make(q):
        begun.set()
        assert gate.wait(20)
        made.append(Thing(q))
        return made[-1]

    threads = [threading.Thread(target=lambda: found.append(kept(q, NAME, make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(20)
    gate.set()
    for thread in threads:
        thread.join(20)
    assert found == made * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_one_is_made():
    """A child forked while another thread is making one can make its own."""
    source = """
import os, signal, threading, warnings
from types import SimpleNamespace
from mt.aio.proc._queue_kept import kept
warnings.simplefilter("ignore")  # as there are threads
begun, gate = threading.Event(), threading.Event()

def slowly(q):
    begun.set()
    gate.wait(0.3)
    return SimpleNamespace(belongs_here=lambda: True)

threading.Thread(target=kept, args=(SimpleNamespace(), "it", slowly)).start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(10)
    gate.set()
    kept(SimpleNamespace(), "it", slowly)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize(
    ("module", "name", "act"),
    [
        (_exit, "links", _exit._close_all),
        (_exit, "links", _exit._disown_all),
        (_queue_remote, "_getters", _queue_remote._at_exit),
    ],
)
def test_the_end_while_others_are_made(monkeypatch, module, name, act):
    """What threads make while the interpreter exits does not keep the rest from being closed."""
    every = WeakValueDictionary()

    def add_another():  # as another thread would
        every.data[1] = lambda: None

    every.data[0] = add_another
    monkeypatch.setattr(module, name, every)
    monkeypatch.setattr(_exit, "_zygote", SimpleNamespace(close=bool, disown=bool))
    act()
    assert 1 in every.data
