"""offload and submit: the way off the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import sys
import threading
import time
import weakref
from types import ModuleType

import pytest

from mt.aio.core import _offload as _offload_module
from mt.aio.core import srun
from mt.aio.core.lowlevel import (
    MissingModeError,
    check_cancelled,
    expect_wait,
    offload,
    submit,
)

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


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


def test_jobs_that_all_block_get_more_threads(async_mode):
    """When nothing gets done, more threads start: 32 jobs that wait for each other do end."""
    barrier = threading.Barrier(32)

    async def body(context_vars):
        jobs = [offload(barrier.wait, 30, context_vars=context_vars) for _ in range(32)]
        return sorted(await asyncio.gather(*jobs))

    assert async_mode.run(body) == list(range(32))


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


def test_sync_mode_while_another_thread_imports_what_async_mode_needs(monkeypatch):
    """There are no jobs yet, so nothing is to be waited for, or to be asked."""
    for name in ("_hop", "_job", "_pool"):
        monkeypatch.setitem(sys.modules, f"mt.aio.core.{name}", ModuleType(name))  # it is empty yet
    monkeypatch.setattr(_offload_module, "_hop", None)

    def work():
        check_cancelled()
        expect_wait()
        return "done"

    assert srun(_offload, work, order="key") == "done"


def test_a_job_does_not_wait_for_its_own_key(async_mode):
    """A function that uses sync mode on its own key inside a worker does not lock itself."""

    def nested():
        return srun(_offload, int, "7", order="key")

    assert async_mode.run(_offload, nested, order="key") == 7


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
