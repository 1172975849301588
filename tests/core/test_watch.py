"""The watch over an event loop, by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
import traceback

import pytest

from mt.aio.core import _watch, srun
from mt.aio.core._watch import LoopWatch, _asyn_function

LIMIT = 0.05


def watched(body, reports, limit=LIMIT):
    """Run a coroutine on a loop that is watched."""

    async def main():
        watch = LoopWatch(asyncio.get_running_loop(), limit, lambda *found: reports.append(found))
        try:
            await body()
        finally:
            watch.stop()

    asyncio.run(main())


async def culprit(context_vars):
    """Block the loop, as an asyn function must not."""
    time.sleep(8 * LIMIT)


@pytest.mark.slow
def test_the_innermost_asyn_function_is_named():
    """One report for one blocking call, with the function that has `context_vars`."""
    reports = []
    watched(lambda: culprit({"async": True}), reports)
    ((stack, name),) = reports
    assert name == "culprit"
    assert stack[-1].line == "time.sleep(8 * LIMIT)"  # the innermost comes last, as in tracebacks


@pytest.mark.slow
def test_code_that_is_no_asyn_function():
    """What blocks the loop outside of any asyn function is reported without a name."""
    reports = []

    async def body():
        time.sleep(8 * LIMIT)

    watched(body, reports)
    ((_, name),) = reports
    assert name is None


@pytest.fixture
def crowded():
    """Have this thread share one processor with four others that never rest."""
    thread, processors = threading.get_native_id(), os.sched_getaffinity(0)
    processor = min(processors)
    command = [sys.executable, "-S", "-c", "while True: pass"]
    crowd = [subprocess.Popen(command) for _ in range(4)]
    for process in crowd:
        os.sched_setaffinity(process.pid, {processor})
    os.sched_setaffinity(thread, {processor})
    yield
    os.sched_setaffinity(thread, processors)
    for process in crowd:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="the kernel does not count")
def test_a_busy_machine_is_no_culprit(crowded):
    """The time for which the loop's thread had to queue for a processor does not count."""
    reports, took = [], []
    limit = 0.4

    async def body():
        start, end = time.monotonic(), time.thread_time() + limit / 2
        while time.thread_time() < end:
            pass
        took.append(time.monotonic() - start)

    watched(body, reports, limit)
    assert took[0] > limit
    assert not reports


def test_a_loop_that_has_closed_is_no_culprit():
    """A knock on a closed loop's door counts as answered: nobody can be blocking it."""
    loop = asyncio.new_event_loop()
    watch = LoopWatch(loop, 10, lambda *found: pytest.fail(f"reported: {found}"))
    loop.close()
    assert watch._knock()
    watch._look()
    watch.stop()
    assert not watch._watcher.is_alive()


def test_the_thread_of_a_loop_that_has_ended(monkeypatch):
    """A loop whose thread is gone, or that does not run, is not looked at."""
    loop = asyncio.new_event_loop()
    watch = LoopWatch(loop, 10, lambda *found: pytest.fail(f"reported: {found}"))
    watch._look()
    monkeypatch.setattr(loop, "is_running", lambda: True)
    watch._thread = 0
    watch._look()
    monkeypatch.undo()
    watch.stop()
    loop.close()


def test_debug_mode_outside_of_a_loop():
    """A coroutine that is made before its loop runs is watched later; nothing happens yet."""
    before = dict(_watch._watched)
    _watch.watch_running_loop()
    assert _watch._watched == before


def test_debug_mode_forgets_closed_loops(monkeypatch):
    """Each running loop is watched once, and the watches of closed ones go."""
    made = []

    class Watch:
        def __init__(self, loop, limit, report):
            made.append((loop, limit))

    monkeypatch.setattr(_watch, "LoopWatch", Watch)
    monkeypatch.setattr(_watch, "_watched", {})

    async def main():
        _watch.watch_running_loop()
        _watch.watch_running_loop()
        assert list(_watch._watched) == [asyncio.get_running_loop()]

    asyncio.run(main())
    asyncio.run(main())
    assert [limit for _, limit in made] == [_watch.LIMIT] * 2


@pytest.mark.parametrize("name", ["culprit", None])
def test_the_log_names_the_culprit(caplog, name):
    """The warning says which asyn function it is, if there is one."""
    _watch._log(traceback.extract_stack(), name)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert ("the asyn function culprit" in record.getMessage()) == (name is not None)
    assert "test_the_log_names_the_culprit" in record.getMessage()


def test_what_counts_as_an_asyn_function():
    """A coroutine that has `context_vars`, be it from the function around it."""

    def plain(context_vars):
        return _asyn_function(sys._getframe())

    async def asyn(context_vars):
        return plain(context_vars)

    async def around(context_vars):
        async def inside():
            return plain(context_vars)

        return await inside()

    assert plain({}) is None
    assert srun(asyn) == asyn.__qualname__
    assert srun(around) == f"{around.__qualname__}.<locals>.inside"


@pytest.mark.parametrize("text", [None, b"", b"12", b"1 x 3"])
def test_a_system_that_does_not_count_waiting(tmp_path, text):
    """Where there are no such statistics, no time counts as waiting for a processor."""
    watch = object.__new__(LoopWatch)
    watch._statistics = str(tmp_path / "schedstat")
    if text is not None:
        (tmp_path / "schedstat").write_bytes(text)
    assert watch._queued() == 0
