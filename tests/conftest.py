"""For every test: the plugin with the modes, and the checks that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest

pytest_plugins = [
    "mt.aio.core.pytest_plugin",  # the fixtures `mode` and `async_mode`
    "pytester",  # which tests that plugin
]

try:
    import uvloop
except ImportError:  # there is none for this Python or platform
    pass
else:
    uvloop.new_event_loop().close()  # the first one opens pipes that stay with the process

# asyncio's debug mode logs each step that took 0.1 s: on a busy machine any may. What blocks a loop
# is found by the fixture `mode`.
logging.getLogger("asyncio").addFilter(lambda record: not str(record.msg).startswith("Executing "))

if os._exit.__module__ != "posix" and os.name == "posix":
    # coverage has put a function of its own in its place, which is to be pickled like the real one.
    os._exit.__module__, os._exit.__qualname__ = "os", "_exit"


def pytest_collection_finish() -> None:
    """Put what is there for good out of the collector's sight; tests ask for it a thousand times.

    Without this, a third of the time that the tests of processes take went into looking at the
    modules and tests that have been loaded, again and again.
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Show it all again: what plugins load at the end may ask the collector who holds what."""
    gc.unfreeze()


class Halt:
    """A place at which jobs stand still: they call it. Once the test is over, it is open."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._gate = threading.Event()

    def __call__(self) -> None:
        """Stand still, in a worker thread, until the test lets go."""
        self._reached.set()
        assert self._gate.wait(30), "the test has not let it go on"

    def go_on(self) -> None:
        """Let all pass from now on."""
        self._gate.set()

    async def reached(self) -> None:
        """Return when a job is here."""
        assert await asyncio.to_thread(self._reached.wait, 30), "no job has come here"

    async def cancel(self, task: asyncio.Task[object], times: int = 1) -> None:
        """Cancel a task whose job is here: it ends as cancelled, and not before the job has."""
        await self.reached()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done(), "the job is still there"
        self.go_on()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
def halt() -> Iterator[Halt]:
    """Give a place at which a job can be held, to be cancelled or outrun there."""
    place = Halt()
    yield place
    place.go_on()


@contextmanager
def _mounted(folder: Path, size: str) -> Iterator[None]:
    if shutil.which("mount") is None:
        pytest.skip("needs mount")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def mounted() -> Callable[[Path, str], AbstractContextManager[None]]:
    """Give what mounts a file system in memory on a folder; its size is as `mount` has it."""
    return _mounted


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Have what nobody refers to any more freed at once or not at all: no garbage is collected."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a worker thread that the watcher adds none to, however busy the machine is."""
    from mt.aio.core import _pool

    monkeypatch.setattr(_pool.Pool, "_adapt", lambda *args, **options: None)
    monkeypatch.setattr(_pool, "_pool", _pool.Pool())


@pytest.fixture
def not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep coverage, which imports a lot, out of the interpreters that a test starts."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS")]:
        monkeypatch.delenv(name)


def _descriptors() -> dict[str, str]:
    """The open descriptors and what they stand for, where the system tells."""
    found = {}
    if sys.platform == "linux":
        for fd in os.listdir("/proc/self/fd"):
            try:
                what = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:  # the one through which they were listed
                continue
            if "/libffi.so" not in what:  # which opens itself for good at the first callback
                found[fd] = what
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


def _here_to_stay() -> dict[int, str]:
    """Child processes that last as long as this one, and the descriptors through which.

    What forks the children of mt.aio.proc; and what multiprocessing starts, from Python 3.14 on,
    when somebody makes a lock with it, as tqdm does.
    """
    stay = {}
    module = sys.modules.get("mt.aio.proc._zygote")
    nursery = None if module is None else module.current()
    if nursery is not None:
        stay[nursery.popen.pid] = str(nursery.fileno())
    module = sys.modules.get("multiprocessing.resource_tracker")
    if module is not None and module._resource_tracker._pid is not None:
        stay[module._resource_tracker._pid] = str(module._resource_tracker._fd)
    return stay


def _left_behind(before: dict[str, str], children: set[int]) -> list[str]:
    """Name what a test left behind."""
    stay = _here_to_stay()
    left = [
        f"descriptor {fd}: {what}"
        for fd, what in _descriptors().items()
        if before.get(fd) != what and fd not in stay.values()
    ]
    left += [f"child process {pid}" for pid in _children() - children - stay.keys()]
    pool = sys.modules.get("mt.aio.core._pool")
    for each in (pool._pool, pool._network) if pool is not None else ():
        if pending := each.jobs.qsize() + len(each.running):
            left.append(f"{pending} jobs in worker threads")
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
