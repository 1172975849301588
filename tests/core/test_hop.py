"""From an event loop to the worker threads and back: a mailbox, step by step."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from types import SimpleNamespace
from weakref import WeakValueDictionary, ref

import pytest

from mt.aio.core import _hop
from mt.aio.core.lowlevel import offload


@pytest.fixture
def mailbox():
    """A mailbox without a doorbell, and the loop that it is for."""
    loop = asyncio.new_event_loop()
    box = _hop._mailboxes[id(loop)] = _hop.Mailbox(loop)
    box.take_down()
    yield box, loop
    loop.close()


async def make_job(func, *args, kept=False):
    """Make a job for the running loop."""
    return _hop.HopJob(func, args, None, kept=kept)


def settle(job, held, *, hold):
    """Do what a worker does with a job."""
    job.run([None])
    job.settle(held, hold)


def test_what_is_held_wakes_nobody_until_the_last_one(mailbox):
    """Of jobs that are done in a row, the one that is not held wakes the loop for all."""
    box, loop = mailbox
    held = set()
    jobs = [loop.run_until_complete(make_job(int, text)) for text in "123"]
    settle(jobs[0], held, hold=True)
    assert held == {box}
    assert not box.armed
    settle(jobs[1], held, hold=False)
    assert not held
    assert box.armed
    settle(jobs[2], held, hold=True)  # after the wake-up, before the loop has looked
    assert not held
    every = asyncio.gather(*(job.future for job in jobs))
    assert loop.run_until_complete(every) == [1, 2, 3]
    assert not box.armed


def test_one_wake_up_is_enough(mailbox, monkeypatch):
    """A loop that is about to look is not woken once more."""
    box, loop = mailbox
    calls = []
    monkeypatch.setattr(loop, "call_soon_threadsafe", calls.append)
    for _ in range(3):
        box.jobs.append(None)
        box.send()
    assert calls == [box.deliver]
    box.jobs.clear()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no doorbells")
def test_a_bell_is_rung_once_and_silenced(monkeypatch):
    """It takes the place of `call_soon_threadsafe`, and does not go on ringing."""

    async def main():
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_soon_threadsafe", None)
        job = await make_job(int, "7")
        bell = job.mailbox.bell
        settle(job, set(), hold=False)
        assert await job.future == 7
        with pytest.raises(BlockingIOError):
            os.eventfd_read(bell)
        monkeypatch.undo()

    asyncio.run(main())


def test_cancelled_again_in_the_turn_in_which_the_job_ends():
    """Whoever waits for the end of a job may be cancelled just when it is told of it."""

    async def main():
        job = await make_job(int)
        job.run([None])  # a worker has taken it: it cannot be withdrawn
        task = asyncio.ensure_future(job.give_up(abandon=False))
        await asyncio.sleep(0)
        task.cancel()
        job.deliver()
        await task

    asyncio.run(main())


@pytest.mark.usefixtures("no_collection")
def test_an_error_is_let_go_with_its_traceback():
    """What the function raised does not stay until the garbage is collected."""

    class MineError(Exception):
        pass

    def fail():
        raise MineError

    async def main():
        try:
            await offload(fail, context_vars={"async": True})
        except MineError as error:
            return ref(error)

    assert asyncio.run(main())() is None


def test_a_loop_at_the_address_of_a_closed_one(mailbox):
    """A mailbox that a job has kept is not taken for that of a later loop with the same id."""
    old, closed = mailbox
    closed.close()

    async def main():
        key = id(asyncio.get_running_loop())
        _hop._mailboxes[key] = old
        assert await offload(int, "7", context_vars={"async": True}) == 7
        assert _hop._mailboxes[key] is not old

    asyncio.run(main())


def test_a_result_is_let_go_while_there_is_nothing_else_to_do():
    """The thread that made it does not hold on to it until its next job."""

    async def main():
        made = ref(await offload(set, context_vars={"async": True}))
        while made() is not None:  # the test's time-out is the limit
            await asyncio.sleep(0.001)

    asyncio.run(main())


def noted(log, name):
    """Make a job whose loss is noted."""
    return SimpleNamespace(report=lambda: log.append(name))


def test_whatever_comes_for_a_closed_loop_is_reported():
    """Also if it comes one by one, and if there is a doorbell, which nobody hears any more."""
    log, loop = [], asyncio.new_event_loop()
    box = _hop.Mailbox(loop)
    loop.close()
    for name in ("first", "second"):
        box.jobs.append(noted(log, name))
        box.send()
        assert log[-1:] == [name]
    assert log == ["first", "second"]
    assert not box.armed
    assert box.bell is None


def test_whatever_comes_for_a_loop_that_is_gone_is_reported(mailbox):
    """Likewise."""
    box, _ = mailbox
    log = []
    box.loop = lambda: None
    box.jobs.append(noted(log, "it"))
    box.send()
    assert log == ["it"]


@pytest.mark.parametrize("kept", [False, True])
def test_only_what_was_promised_is_worth_a_line(mailbox, caplog, kept):
    """Of the errors that no loop is left to be told of, those of abandoned jobs are not logged."""
    box, loop = mailbox
    job = loop.run_until_complete(make_job(int, "x", kept=kept))
    loop.close()
    settle(job, set(), hold=False)
    assert [record.exc_info[0] for record in caplog.records] == [ValueError] * kept
    assert not box.jobs


def test_a_new_loop_clears_up_after_one_that_is_gone(mailbox):
    """What came for a loop that is not even there any more is dropped when the next one begins."""
    box, _ = mailbox
    log = []
    box.loop = lambda: None
    box.jobs.append(noted(log, "it"))
    asyncio.run(make_job(int))
    assert log == ["it"]


def test_loops_may_begin_at_once(monkeypatch):
    """What other threads add while the mailboxes are looked through is no error."""
    boxes = WeakValueDictionary()

    def add_another():  # as another thread would
        boxes.data[1] = lambda: None

    boxes.data[0] = add_another
    monkeypatch.setattr(_hop, "_mailboxes", boxes)
    asyncio.run(make_job(int))
    assert 1 in boxes.data


def test_two_may_clear_up_at_once(mailbox):
    """What another thread has taken meanwhile is that thread's to report, and no error."""
    box, _ = mailbox
    log = []

    class Raced(deque):
        def __bool__(self):
            there = len(self) > 0
            self.clear()
            return there

    box.jobs = Raced([noted(log, "it")])
    box.abandon()
    assert log == []


def test_a_forked_child_forgets_all_loops(mailbox, monkeypatch):
    """Neither what was on its way to them nor a lock that a thread of the parent's had stays."""
    box, loop = mailbox
    monkeypatch.setattr(_hop, "_mailboxes", WeakValueDictionary({id(loop): box}))
    box.jobs.append(noted([], "of the parent's"))
    box.lock.acquire()
    _hop._renew()
    assert not box.jobs
    assert not box.lock.locked()
    assert not _hop._mailboxes


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no doorbells")
@pytest.mark.usefixtures("no_collection")
def test_a_mailbox_with_jobs_in_it_goes_with_its_loop():
    """A job that no loop has looked at does not keep the mailbox that it lies in."""

    def leave():
        loop = asyncio.new_event_loop()
        job = loop.run_until_complete(make_job(int))
        box = job.mailbox
        settle(job, set(), hold=False)
        loop.close()
        return ref(box)

    assert leave()() is None
