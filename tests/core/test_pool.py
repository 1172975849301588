"""The worker threads: results that are held back, and threads that come and go."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from mt.aio.core import _hop, _pool
from mt.aio.core._job import Job
from mt.aio.core.lowlevel import offload, submit


def test_a_held_result_does_not_wait_for_a_stuck_job(async_mode):
    """A job that blocks behind a quick one does not keep the quick one's result back."""
    gate = threading.Event()

    async def body(context_vars):
        quick = [asyncio.ensure_future(offload(int, context_vars=context_vars)) for _ in range(3)]
        stuck = [
            asyncio.ensure_future(offload(gate.wait, 30, context_vars=context_vars))
            for _ in range(_pool.MOST)
        ]
        assert await asyncio.gather(*quick) == [0, 0, 0]
        gate.set()
        assert all(await asyncio.gather(*stuck))

    async_mode.run(body)


def test_results_of_two_loops_are_held_for_each():
    """A burst of one loop's jobs does not swallow the results of another's."""
    sums = []

    async def main():
        for _ in range(20):
            jobs = [offload(int, number, context_vars={"async": True}) for number in range(50)]
            sums.append(sum(await asyncio.gather(*jobs)))

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [sum(range(50))] * 60


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no doorbells")
@pytest.mark.usefixtures("no_collection")
def test_closed_loops_leave_no_descriptor():
    """Many short event loops leave at most the last one's doorbell, also without a collection."""
    for _ in range(20):
        asyncio.run(offload(int, context_vars={"async": True}))
    bells = _bells()
    assert len(bells) <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no doorbells")
@pytest.mark.usefixtures("no_collection")
def test_a_loop_closed_before_it_looks_leaves_no_descriptor():
    """A loop that is closed with results on their way takes its doorbell along at once."""
    before = _bells()
    for _ in range(20):
        loop = asyncio.new_event_loop()
        loop.call_soon(_leave_results, loop)
        loop.run_forever()
        loop.close()
        del loop
    after = _bells()
    assert len(after - before) <= 1


def _leave_results(loop):
    """Stop the loop when jobs are done whose results it has not seen."""
    box = submit(int), _hop._mailboxes[id(loop)]
    while not box[1].jobs:  # the test's time-out is the limit
        pass
    loop.stop()


def _bells():
    return {fd for fd in os.listdir("/proc/self/fd") if "eventfd" in _target(fd)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_a_bell_is_rung():
    """A child forked while a worker holds a mailbox's lock can still let the mailbox go."""
    source = """
import asyncio, os, signal, warnings
from mt.aio.core import _hop
from mt.aio.core.lowlevel import offload
warnings.simplefilter("ignore")
loop = asyncio.new_event_loop()
loop.run_until_complete(offload(int, context_vars={"async": True}))
[mailbox] = _hop._mailboxes.values()
mailbox.lock.acquire()  # as a worker does
child = os.fork()
if not child:
    signal.alarm(10)
    mailbox.abandon()
    os._exit(0)
mailbox.lock.release()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
loop.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_worker_that_dies_is_replaced(one_thread, monkeypatch):
    """Should a worker thread itself fail, that is told, and another serves those that wait."""
    told = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: told.set())

    class Broken(Job):
        def settle(self, held, hold):
            raise MemoryError

    async def main():
        _pool.put(Broken(int, (), None, kept=False))
        jobs = (offload(int, number, context_vars={"async": True}) for number in range(3))
        assert await asyncio.gather(*jobs) == [0, 1, 2]

    asyncio.run(main())
    assert told.wait(30)
    assert _pool._pool.serving == 1


def test_no_threads_are_added_while_others_take_the_processor():
    """Jobs that are slow because the machine is overloaded would be slower with more threads."""
    source = """
import asyncio, itertools, threading, time
from mt.aio.core import _pool
from mt.aio.core.lowlevel import offload
_pool.STALL = 10  # on a machine that is really overloaded, nothing may get done for a while
_pool.preemptions = itertools.count().__next__
def job():
    time.sleep(0.003)
    return threading.get_ident()
async def main():
    jobs = (offload(job, context_vars={"async": True}) for _ in range(50))
    return set(await asyncio.gather(*jobs))
print(len(asyncio.run(main(), debug=False)))  # debug mode says which steps took long
"""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def _target(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:  # the one through which they were listed
        return ""


def test_a_loop_without_descriptors_is_served_too():
    """Where add_reader is missing, as on Windows, the loop is woken the common way."""

    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, fd, callback, *args):
            raise NotImplementedError

    async def main():
        return await asyncio.gather(
            *(offload(int, number, context_vars={"async": True}) for number in range(100))
        )

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(main()) == list(range(100))


def test_threads_of_a_rush_do_not_share_what_comes_one_by_one():
    """After slow jobs, quick ones one after the other are soon done by a single thread again."""

    async def main():
        context_vars = {"async": True}
        barrier = threading.Barrier(8)
        await asyncio.gather(
            *(offload(barrier.wait, 30, context_vars=context_vars) for _ in range(8))
        )
        while _pool._pool.serving > 1:  # the test's time-out is the limit
            await offload(int, context_vars=context_vars)

    asyncio.run(main())
