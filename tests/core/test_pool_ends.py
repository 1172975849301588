"""The worker threads at the ends: no more threads, closed loops, jobs that do not end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from mt.aio.core import _hop, _pool
from mt.aio.core._job import Job
from mt.aio.core.lowlevel import offload

ASYNC = {"async": True}


def test_what_another_thread_sends_first():
    """Of two threads that send what is held, the slower one finds nothing, and that is fine."""

    class Emptied(set):
        def pop(self):
            self.clear()
            raise KeyError

    pool = _pool.Pool()
    pool.held = Emptied(["taken by the other, whose it is to send it"])
    pool._send_held()
    assert not pool.held


def no_more_threads(monkeypatch, names):
    """Let the system refuse threads of these names."""
    real = _pool._start

    def start(target, name):
        if name in names:
            raise RuntimeError("can't start new thread")
        return real(target, name)

    monkeypatch.setattr(_pool, "_start", start)


def job(func, *args, order=None, kept=False):
    """Make a job that nobody waits for."""
    return Job(func, args, order, kept=kept)


def test_without_a_watcher_jobs_are_done(monkeypatch):
    """Where no more threads can be had, as at the interpreter's end, those that run do the work."""
    no_more_threads(monkeypatch, {"mt-aio-watch"})
    pool = _pool.Pool()
    done = threading.Barrier(2)
    count = []
    for number in range(10):
        pool.put(job(count.append, number))
    pool.put(job(done.wait, 10))
    done.wait(10)
    assert count == list(range(10))
    assert pool.watcher is None
    assert not pool.watched


def test_a_job_that_gets_no_thread_keeps_nobody_waiting(monkeypatch):
    """If the system refuses the first thread, the caller is told, and later jobs are done.

    The job stayed in its lane, so that those of its key waited for ever, and the interpreter's end
    for half a minute.
    """
    pool = _pool.Pool()
    with monkeypatch.context() as patch:
        no_more_threads(patch, {"mt-aio-worker"})
        with pytest.raises(RuntimeError, match="can't start"):
            pool.put(job(int, order="lane", kept=True))
    assert not pool.kept
    done = threading.Event()
    pool.put(job(done.set, order="lane"))
    assert done.wait(10)


def test_as_many_threads_as_there_can_be(monkeypatch):
    """When the system gives no more threads, the pool goes on with those that it has."""
    pool = _pool.Pool()
    gate = threading.Event()
    monkeypatch.setattr(pool, "_call_watcher", lambda: None)
    pool.put(job(gate.wait, 10))
    for _ in range(5):
        pool.put(job(gate.wait, 10))
    no_more_threads(monkeypatch, {"mt-aio-worker"})
    pool._adapt(slow=True, computing=False)
    assert pool.serving == pool.wanted == 1
    done = threading.Barrier(2)
    pool.put(job(done.wait, 10))
    gate.set()
    done.wait(10)


def test_two_that_begin_at_once():
    """A second thread that finds no worker yet waits for the lock, and then starts no other."""
    pool = _pool.Pool()
    pool._begin()
    pool._begin()
    assert pool.serving == 1


def test_jobs_that_do_not_end_are_named(monkeypatch, caplog):
    """At the interpreter's end, promised jobs that take too long are named in the log."""
    monkeypatch.setattr(_pool, "EXIT_PATIENCE", 0.01)
    pool = _pool.Pool()
    gate = threading.Event()
    pool.put(job(gate.wait, 10, order="the/file", kept=True))
    pool.drain()
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == "not finished 0.01 s after the end: the/file"
    gate.set()
    monkeypatch.setattr(_pool, "EXIT_PATIENCE", 10)
    pool.drain()
    assert len(caplog.records) == 1


@pytest.fixture
def mailbox():
    """A mailbox without a doorbell, and the loop that it is for."""
    loop = asyncio.new_event_loop()
    box = _hop.Mailbox(loop)
    box.take_down()
    yield box, loop
    loop.close()


def noted(log, name):
    """Make a job whose delivery and loss are noted."""
    return SimpleNamespace(
        deliver=lambda: log.append(f"{name} delivered"), report=lambda: log.append(f"{name} lost")
    )


def test_one_wake_up_for_many(mailbox):
    """A loop that has been woken is not woken again before it has looked."""
    box, loop = mailbox
    log = []
    box.jobs.append(noted(log, "first"))
    box.send()
    box.jobs.append(noted(log, "second"))
    box.send()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert log == ["first delivered", "second delivered"]
    box.send()  # with nothing to send
    assert not box.armed


def test_a_loop_that_closes_at_that_moment(mailbox, monkeypatch):
    """A loop that closes between the look at it and the wake-up loses what came for it."""
    box, loop = mailbox
    log = []
    box.jobs.append(noted(log, "it"))
    loop.close()
    monkeypatch.setattr(loop, "is_closed", lambda: False)
    box.send()
    assert log == ["it lost"]
    assert not box.jobs


def test_a_ring_that_comes_too_late(mailbox):
    """A wake-up that finds the bell taken down delivers all the same."""
    box, _ = mailbox
    log = []
    box.jobs.append(noted(log, "it"))
    box.answer()
    assert log == ["it delivered"]


def test_offloading_after_all_that():
    """The process's own pool has not been touched by any of it."""
    assert asyncio.run(offload(int, "7", context_vars=ASYNC)) == 7


LEFT_BEHIND = """
import asyncio, threading
from mt.aio.core.lowlevel import offload

async def main():
    begun = threading.Event()
    def work():
        begun.set()
        threading.Event().wait(600)
    task = asyncio.create_task(
        offload(work, context_vars={"async": True}, abandon_on_cancel=True)
    )
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()

asyncio.run(main(), debug=False)  # debug mode says which steps took long
print("the end", flush=True)
"""


def test_an_abandoned_job_does_not_keep_the_interpreter():
    """Nobody was promised its end: unlike that of a submitted job, it is not waited for."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, check=False, timeout=25
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no doorbells")
def test_one_mailbox_for_a_loop():
    """All jobs of a loop share its mailbox, whose doorbell is rung instead of a call."""
    seen = set()

    async def main():
        for _ in range(3):
            await offload(int, context_vars=ASYNC)
            seen.add(_hop._mailboxes[id(asyncio.get_running_loop())])
        assert all(box.bell is not None for box in seen)

    asyncio.run(main())
    assert len(seen) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no doorbells")
def test_a_new_loop_takes_down_the_bells_of_closed_ones():
    """A closed loop's mailbox, though a job still has it, keeps no descriptor."""
    gate = threading.Event()

    async def leave():
        task = asyncio.ensure_future(
            offload(gate.wait, 30, context_vars=ASYNC, abandon_on_cancel=True)
        )
        await offload(int, context_vars=ASYNC)
        box = _hop._mailboxes[id(asyncio.get_running_loop())]
        task.cancel()
        await asyncio.wait([task])
        return box

    loop = asyncio.new_event_loop()
    box = loop.run_until_complete(leave())
    loop.close()
    assert box.bell is not None
    asyncio.run(offload(int, context_vars=ASYNC))
    assert box.bell is None
    gate.set()
