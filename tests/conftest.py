"""Fixtures for every test: the modes, and the checks that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from mt.aio.core import srun

try:
    import uvloop
except ImportError:  # there is none for this Python or platform
    uvloop = None
else:
    uvloop.new_event_loop().close()  # the first one opens pipes that stay with the process


@dataclass(frozen=True)
class Mode:
    """One way of running an asyn function."""

    name: str

    @property
    def is_async(self) -> bool:
        """Whether there is an event loop."""
        return self.name != "sync"

    @property
    def context_vars(self) -> dict[str, Any]:
        """What an asyn function is given in this mode."""
        return {"async": self.is_async}

    def run(
        self, asyn_func: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> Any:
        """Run an asyn function to its end; in sync mode without any event loop."""
        if not self.is_async:
            return srun(asyn_func, *args, **kwargs)
        coro = _no_task_left(asyn_func(*args, context_vars=self.context_vars, **kwargs))
        loop_factory = uvloop.new_event_loop if self.name == "uvloop" else None
        with asyncio.Runner(debug=True, loop_factory=loop_factory) as runner:
            return runner.run(coro)


async def _no_task_left(coro: Coroutine[Any, Any, Any]) -> Any:
    """Await a coroutine and see that it left no task behind."""
    result = await coro
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left open: {left}"
    return result


_NO_UVLOOP = pytest.mark.skipif(uvloop is None, reason="uvloop is not installed")


@pytest.fixture(params=["sync", "async", pytest.param("uvloop", marks=_NO_UVLOOP)])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test in sync mode without a loop, in asyncio's debug mode, and on uvloop."""
    return Mode(request.param)


@pytest.fixture(params=["async", pytest.param("uvloop", marks=_NO_UVLOOP)])
def async_mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test in asyncio's debug mode, and on uvloop."""
    return Mode(request.param)


def _descriptors() -> dict[str, str]:
    """The open descriptors and what they stand for, where the system tells."""
    found = {}
    if sys.platform == "linux":
        for fd in os.listdir("/proc/self/fd"):
            try:
                found[fd] = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:  # the one through which they were listed
                continue
    return found


def _children() -> set[int]:
    """The process ids of this process's children; zombies count."""
    try:
        lists = [task.read_text() for task in Path("/proc/self/task").glob("*/children")]
    except OSError:  # a thread that was listed has ended
        return _children()
    if lists:
        return {int(pid) for line in lists for pid in line.split()}
    return {child.pid for child in psutil.Process().children()}  # as good, but slow


def _nursery() -> Any:
    """What forks the children of mt.aio.proc: it is there to stay."""
    module = sys.modules.get("mt.aio.proc._zygote")
    return None if module is None else module.current()


def _left_behind(before: dict[str, str], children: set[int]) -> list[str]:
    """Name what a test left behind."""
    nursery = _nursery()
    left = [
        f"descriptor {fd}: {what}"
        for fd, what in _descriptors().items()
        if before.get(fd) != what and fd != str(nursery and nursery.fileno())
    ]
    expected = children if nursery is None else children | {nursery.popen.pid}
    left += [f"child process {pid}" for pid in _children() - expected]
    pool = sys.modules.get("mt.aio.core._pool")
    if pool is not None and pool._pool.pending:
        left.append(f"{pool._pool.pending} jobs in worker threads")
    left += [
        f"thread {thread.name}"
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.main_thread()
    ]
    return left


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a descriptor, a child, a job, a thread or a temporary file."""
    before = _descriptors()
    children = _children()
    tmp_path = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    deadline = time.monotonic() + 5  # a thread or child that is ending right now may do so
    while (left := _left_behind(before, children)) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert not left, f"left behind: {left}"
    if tmp_path is not None and tmp_path.is_dir():
        temporary = sorted(str(path) for path in tmp_path.rglob("*.mttmp"))
        assert not temporary, f"left behind: {temporary}"
