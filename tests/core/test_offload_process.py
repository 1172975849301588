"""offload and submit in interpreters of their own: threads, forks, closed loops, the end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def _python(source, *args):
    """Run a program in a fresh interpreter; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", source, *args],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_a_few_threads_do_many_jobs():
    """Any number of concurrent jobs is done by four threads at most, as long as jobs get done."""
    source = """
import asyncio, threading
from mt.aio.core import _pool
from mt.aio.core.lowlevel import offload
_pool.STALL = 10  # on a loaded machine, nothing may get done for a while
_pool.SLOW = 10
async def main():
    jobs = [offload(threading.get_ident, context_vars={"async": True}) for _ in range(2000)]
    return set(await asyncio.gather(*jobs))
print(len(asyncio.run(main())) <= 4)
"""
    assert _python(source)[0] == "True\n"


def test_threads_beyond_the_base_end_after_the_rush():
    """What a rush has started does not stay."""
    source = """
import asyncio, threading
from mt.aio.core.lowlevel import offload
barrier = threading.Barrier(20)
async def main():
    cv = {"async": True}
    await asyncio.gather(*(offload(barrier.wait, 30, context_vars=cv) for _ in range(20)))
    for _ in range(100):
        await offload(int, context_vars=cv)
asyncio.run(main())
workers = [t for t in threading.enumerate() if t.name == "mt-aio-worker"]
deadline = __import__("time").monotonic() + 10
while sum(t.is_alive() for t in workers) > 4 and __import__("time").monotonic() < deadline:
    pass
print(sum(t.is_alive() for t in workers))
"""
    assert _python(source)[0] == "4\n"


def test_a_submitted_job_outlives_its_loop_and_its_future():
    """Nobody keeps the future, the loop is closed, the program ends: the job is done."""
    source = """
import asyncio, sys, time
from mt.aio.core.lowlevel import submit
def job():
    time.sleep(0.2)
    sys.stdout.write("done")
async def main():
    submit(job)
asyncio.run(main())
"""
    assert _python(source) == ("done", "")


def test_a_submitted_job_that_fails_without_a_loop_is_logged():
    """An error that no loop can be told of is not lost."""
    source = """
import asyncio, time
from mt.aio.core.lowlevel import submit
def job():
    time.sleep(0.2)
    raise OSError("disk on fire")
async def main():
    submit(job, order="/some/file")
asyncio.run(main())
"""
    _, err = _python(source)
    assert "/some/file failed after its event loop was closed" in err
    assert "disk on fire" in err


def test_closed_loops_are_let_go():
    """Neither a mailbox nor a late completion keeps a closed loop alive."""
    source = """
import asyncio, gc, threading, weakref
from mt.aio.core.lowlevel import offload, submit
gates, loops = [], []
async def main():
    loops.append(weakref.ref(asyncio.get_running_loop()))
    gates.append(threading.Event())
    await offload(int, context_vars={"async": True})
    submit(gates[-1].wait, 30)
for _ in range(20):
    asyncio.run(main())
    gates[-1].set()
asyncio.run(offload(int, context_vars={"async": True}))
import time
deadline = time.monotonic() + 10
while sum(loop() is not None for loop in loops) and time.monotonic() < deadline:
    gc.collect()
print(sum(loop() is not None for loop in loops))
"""
    assert _python(source)[0] == "0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_works_in_a_forked_child():
    """A fork takes no threads along; the child gets its own."""
    source = """
import asyncio, os
from mt.aio.core.lowlevel import offload
async def main():
    return await offload(os.getpid, context_vars={"async": True})
assert asyncio.run(main()) == os.getpid()
child = os.fork()
if child == 0:
    os._exit(0 if asyncio.run(main()) == os.getpid() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert _python("import warnings; warnings.simplefilter('ignore')\n" + source)[0] == "0\n"


@pytest.mark.usefixtures("not_counted")
def test_sync_mode_imports_no_asyncio():
    """Synchronous mode needs neither asyncio nor a thread."""
    source = """
import sys
from mt.aio.core import srun
from mt.aio.core.lowlevel import offload
async def body(context_vars):
    return await offload(int, "3", context_vars=context_vars, order="k")
assert srun(body) == 3
print(sorted({"asyncio", "threading", "mt.aio.core._pool"} & set(sys.modules)))
"""
    assert _python(source)[0] == "[]\n"
