"""offload, submit and check_cancelled: the way off the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from mt.aio.core import srun
from mt.aio.core.lowlevel import MissingModeError, check_cancelled, offload, submit

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


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


def test_runs_the_function_where_the_mode_says(mode):
    """Inline in sync mode, in a worker thread in async mode."""
    thread = mode.run(_offload, threading.current_thread)
    assert (thread is threading.current_thread()) is not mode.is_async
    assert thread.daemon is mode.is_async


async def _offload(func, *args, context_vars, **options):
    return await offload(func, *args, context_vars=context_vars, **options)


def test_returns_and_raises_what_the_function_does(mode):
    """Results and exceptions pass unchanged."""
    error = LookupError("mine")

    def fails():
        raise error

    assert mode.run(_offload, divmod, 7, 2) == (3, 1)
    with pytest.raises(LookupError) as caught:
        mode.run(_offload, fails)
    assert caught.value is error


def test_stop_iteration_becomes_a_runtime_error(mode):
    """No coroutine can raise StopIteration; the original is the cause."""
    with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
        mode.run(_offload, next, iter(()))
    assert isinstance(caught.value.__cause__, StopIteration)


def test_needs_a_mode():
    """The mode is never guessed, although a loop runs."""
    with pytest.raises(MissingModeError):
        asyncio.run(offload(os.getpid, context_vars={}))


def test_carries_contextvars_over(mode):
    """The function sees the caller's contextvars; what a thread sets stays in the thread."""

    async def body(context_vars):
        VARIABLE.set("mine")
        return await offload(VARIABLE.get, context_vars=context_vars)

    assert contextvars.copy_context().run(mode.run, body) == "mine"


def test_the_loop_goes_on_meanwhile(async_mode):
    """The event loop is free while the function blocks."""

    async def body(context_vars):
        gate = threading.Event()
        asyncio.get_running_loop().call_soon(gate.set)
        return await offload(gate.wait, 30, context_vars=context_vars)

    assert async_mode.run(body) is True


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


def test_jobs_that_all_block_get_more_threads(async_mode):
    """When nothing gets done, more threads start: 32 jobs that wait for each other do end."""
    barrier = threading.Barrier(32)

    async def body(context_vars):
        jobs = [offload(barrier.wait, 30, context_vars=context_vars) for _ in range(32)]
        return sorted(await asyncio.gather(*jobs))

    assert async_mode.run(body) == list(range(32))


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


def test_equal_order_keys_run_one_after_the_other(async_mode):
    """Jobs of one key run in the order of issue, whatever the threads would like."""
    running, order = [], []

    def job(number):
        running.append(number)
        assert running == [number]
        time.sleep(0.0005)
        order.append(number)
        running.remove(number)

    async def body(context_vars):
        jobs = [offload(job, n, context_vars=context_vars, order="key") for n in range(50)]
        await asyncio.gather(*jobs)

    async_mode.run(body)
    assert order == list(range(50))


def test_sync_mode_waits_for_pending_jobs_of_its_key():
    """A job of one key issued by srun inside a loop runs after those issued before it."""
    order = []
    gate = threading.Event()

    def first():
        gate.wait(30)
        order.append("first")

    async def main():
        future = submit(first, order="key")
        asyncio.get_running_loop()  # it stands still while srun waits
        threading.Timer(0.02, gate.set).start()
        srun(_offload, order.append, "second", order="key")
        await future

    asyncio.run(main())
    assert order == ["first", "second"]


def test_a_job_does_not_wait_for_its_own_key(async_mode):
    """A function that uses sync mode on its own key inside a worker does not lock itself."""

    def nested():
        return srun(_offload, int, "7", order="key")

    assert async_mode.run(_offload, nested, order="key") == 7


def test_cancelling_withdraws_a_job_that_has_not_started(async_mode):
    """What no thread has taken yet never runs, and the coroutine ends at once."""
    ran = []
    gate = threading.Event()

    async def body(context_vars):
        first = asyncio.ensure_future(offload(gate.wait, 30, context_vars=context_vars, order="k"))
        second = asyncio.ensure_future(offload(ran.append, 1, context_vars=context_vars, order="k"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        await first

    async_mode.run(body)
    assert ran == []


def test_cancelling_waits_for_a_running_job(async_mode):
    """The coroutine ends only when the function has, also if cancelled again meanwhile."""
    started, gate, ended = threading.Event(), threading.Event(), []

    def job():
        started.set()
        gate.wait(30)
        ended.append(True)

    async def body(context_vars):
        task = asyncio.ensure_future(offload(job, context_vars=context_vars))
        await offload(started.wait, 30, context_vars=context_vars)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]

    async_mode.run(body)


def test_cancelling_abandons_a_job_that_allows_it(async_mode):
    """With abandon_on_cancel the coroutine ends at once; the result is dropped."""
    started, gate = threading.Event(), threading.Event()

    def job():
        started.set()
        gate.wait(30)

    async def body(context_vars):
        task = asyncio.ensure_future(
            offload(job, context_vars=context_vars, abandon_on_cancel=True)
        )
        await offload(started.wait, 30, context_vars=context_vars)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()

    async_mode.run(body)


def test_check_cancelled_lets_a_running_job_give_up(async_mode):
    """A cancelled job learns of it where it asks, and can clean up."""
    started, gate, steps = threading.Event(), threading.Event(), []

    def job():
        check_cancelled()
        started.set()
        gate.wait(30)
        try:
            check_cancelled()
            steps.append("never")
        finally:
            steps.append("cleaned up")

    async def body(context_vars):
        task = asyncio.ensure_future(offload(job, context_vars=context_vars))
        await offload(started.wait, 30, context_vars=context_vars)
        task.cancel()
        asyncio.get_running_loop().call_later(0.001, gate.set)
        with pytest.raises(asyncio.CancelledError):
            await task

    async_mode.run(body)
    assert steps == ["cleaned up"]


def test_check_cancelled_elsewhere_does_nothing():
    """In sync mode, and in code that no job runs, there is nobody to cancel."""
    check_cancelled()
    srun(_offload, check_cancelled)


def test_submit_returns_a_future(async_mode):
    """The job starts now; its future can be awaited later."""

    async def body(context_vars):
        future = submit(divmod, 9, 4)
        assert isinstance(future, asyncio.Future)
        return await future

    assert async_mode.run(body) == (2, 1)


def test_submit_needs_a_running_loop():
    """There is no future without a loop."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        submit(int)


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


def test_cancelling_a_submitted_future_gives_the_job_up(async_mode):
    """The job is withdrawn or told; the future is cancelled at once."""
    ran = []
    gate = threading.Event()

    async def body(context_vars):
        first = submit(gate.wait, 30, order="k")
        second = submit(ran.append, 1, order="k")
        second.cancel()
        gate.set()
        await first
        await offload(int, context_vars=context_vars, order="k")

    async_mode.run(body)
    assert ran == []


def test_many_loops_in_many_threads():
    """Each loop gets its own completions."""
    results = {}

    def thread(number):
        async def main():
            cv = {"async": True}
            return await asyncio.gather(
                *(offload(divmod, number, i + 1, context_vars=cv) for i in range(100))
            )

        results[number] = asyncio.run(main())

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert results == {n: [divmod(n, i + 1) for i in range(100)] for n in range(8)}


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


def test_a_result_is_not_kept_alive(async_mode):
    """Neither a worker nor the mailbox holds on to what was returned or given."""

    class Large:
        pass

    async def body(context_vars):
        given, result = Large(), await offload(Large, context_vars=context_vars)
        await offload(id, given, context_vars=context_vars)
        references = weakref.ref(given), weakref.ref(result)
        del given, result
        await asyncio.sleep(0.01)
        gc.collect()
        return [reference() for reference in references]

    assert async_mode.run(body) == [None, None]


def test_what_a_cancelled_job_had_in_hand_is_not_kept_alive(async_mode):
    """What a function that gave up worked on is let go with it, without a garbage collection."""
    reached, gate = threading.Event(), threading.Event()
    references = []

    class Large:
        pass

    def func():
        large = Large()
        references.append(weakref.ref(large))
        reached.set()
        gate.wait()
        check_cancelled()

    async def body(context_vars):
        task = asyncio.create_task(offload(func, context_vars=context_vars))
        await asyncio.to_thread(reached.wait)
        task.cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.wait([task])
        return references[0]()

    gc.disable()
    try:
        assert async_mode.run(body) is None
    finally:
        gc.enable()
