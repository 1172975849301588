"""What the tests of helper processes share: a child that calls what it is told to call."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import multiprocessing
import os
import queue
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from mt.aio.proc import BgProcess, _queue, _queue_poll

THREAD_QUEUES = [queue.Queue, queue.LifoQueue, queue.PriorityQueue]
CONTEXT = multiprocessing.get_context("spawn")
# What asyncio's debug mode says of a step that took 0.1 s: on a busy machine any may.
_SLOW = r"^Executing <.* took [0-9.]+ seconds\n"
# Seconds for what a test leaves running: a child that coverage counts has to write that down.
PATIENCE = 5 if "COVERAGE_PROCESS_CONFIG" in os.environ else 0
resource_tracker.ensure_running()  # it stays with this process, once the first queue is made


def _load(name: str) -> ModuleType:
    """Load a file of fixtures, wherever pytest was started."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"proc_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_hosts = _load("hosts")
near_loop, nearby = _hosts.near_loop, _hosts.nearby


@pytest.fixture(autouse=True)
def first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no call of `qput_aio` or `qget_aio` give way for those of the tests before."""
    monkeypatch.setattr(_queue, "_calls", 0)


@pytest.fixture
def quiet_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a queue that can only be polled be quiet from the first moment."""
    monkeypatch.setattr(_queue_poll, "PART", 1e-9)
    monkeypatch.setattr(_queue_poll, "LONGEST", 0.002)  # longer than the usual interval


@pytest.fixture
def caller() -> type[BgProcess]:
    """Give a class whose child calls functions; made here, it always travels by value."""

    class Caller(BgProcess):
        def __init__(self, **attributes: Any) -> None:
            self.written: list[tuple[str, str]] = []
            self.events: list[tuple[Any, ...]] = []
            host = attributes.pop("host", None)
            vars(self).update(attributes)
            super().__init__(host=host)

        def child_handle_message(self, msg: Any) -> Any:
            func, *args = msg
            return func(*args)

        def on_write(self, stream: str, text: str) -> None:
            self.written.append((stream, text))

        def on_event(self, event: tuple[Any, ...]) -> None:
            self.events.append(event)

        def text(self, stream: str) -> str:
            return "".join(text for name, text in self.written if name == stream)

    return Caller


@pytest.fixture
def start(caller) -> Iterator[Callable[..., Any]]:
    """Start processes that are gone after the test, however it went."""
    started = []

    def start(cls: type[BgProcess] = caller, *args: Any, **attributes: Any) -> Any:
        process = cls(*args, **attributes)
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(Exception):  # a test has broken it on purpose
            process.close(PATIENCE)
    started.clear()


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait for a condition; fail if it does not come true."""

    def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.005)
        return result

    return until


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Tell whether a process has ended, be it as a zombie whose parent has not looked yet."""

    def gone(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return gone


_HEAD = """
import asyncio, os, queue, signal, sys, threading, time
from mt.aio.core import srun
from mt.aio.proc import BgProcess, _queue

class Caller(BgProcess):
    def child_handle_message(self, msg):
        func, *args = msg
        return func(*args)

def busy_in_python():
    while True:
        pass

def busy_in_c():
    return sum(range(10**13))  # keeps the interpreter lock for hours

process = Caller()
srun(process.send, (len, ""))
"""


@pytest.fixture
def program() -> Callable[[str], str]:
    """Make a program that has a process already, of what it is to do then."""
    return lambda body: _HEAD + textwrap.dedent(body)


@pytest.fixture
def run_program(tmp_path) -> Callable[..., str]:
    """Run a script in a fresh interpreter; it must end well and complain of nothing."""

    def run(program: str, *options: str, timeout: float = 20) -> str:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(program))
        done = subprocess.run(
            [sys.executable, "-X", "dev", *options, str(script)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=tmp_path,
        )
        said = re.sub(_SLOW, "", done.stderr, flags=re.MULTILINE)
        assert (done.returncode, said) == (0, ""), done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def live_program(tmp_path) -> Iterator[Callable[[str], Any]]:
    """Start a script that tells, as its first line of output, the pids of its children."""
    with contextlib.ExitStack() as stack:

        def begin(program: str) -> tuple[subprocess.Popen[str], list[int]]:
            script = tmp_path / "program.py"
            script.write_text(textwrap.dedent(program))
            popen = stack.enter_context(
                subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(popen.kill)
            pids = [int(pid) for pid in popen.stdout.readline().split()]
            for pid in pids:
                stack.callback(_kill, pid)
            return popen, pids

        yield begin


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def ending() -> Iterator[Callable[[Any], Any]]:
    """Take queues that are to leave nothing behind, such as those of `multiprocessing`."""
    taken: list[Any] = []
    yield lambda q: taken.append(q) or q
    for q in taken:
        if hasattr(q, "join_thread"):
            q.close()
            q.join_thread()
        if hasattr(q, "_reader"):
            q._reader.close()  # without any item put, nobody has closed them
            q._writer.close()


@pytest.fixture(
    params=[*THREAD_QUEUES, CONTEXT.Queue, CONTEXT.JoinableQueue],
    ids=["Queue", "LifoQueue", "PriorityQueue", "mp.Queue", "mp.JoinableQueue"],
)
def bounded(request, ending):
    """Make queues with a limit, of each kind that can have one."""
    return lambda maxsize: ending(request.param(maxsize))


@pytest.fixture(
    params=[*THREAD_QUEUES, queue.SimpleQueue, CONTEXT.Queue],
    ids=["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "mp.Queue"],
)
def any_queue(request, ending):
    """Give an empty queue of each kind, without a limit."""
    return ending(request.param())


@pytest.fixture(scope="module")
def manager():
    """Give a manager, a process that has queues."""
    with multiprocessing.Manager() as manager:
        q = manager.Queue()
        q.put(1)  # this thread's connection stays as long as there is a proxy
        yield manager
        del q


@pytest.fixture
def with_heartbeat():
    """Await something while a task ticks; give the result or error, and the ticks."""

    async def with_heartbeat(coro):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        heart = asyncio.ensure_future(tick())
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(20):
                result = await coro
        except (queue.Empty, queue.Full) as error:
            result = error
        finally:
            heart.cancel()
            await asyncio.wait([heart])
        return result, ticks

    return with_heartbeat


@pytest.fixture
def runs_out_of_time(with_heartbeat):
    """See that something keeps to its time-out, and that the event loop goes on meanwhile.

    The machine may stand still for the whole time: then more time is tried.
    """

    async def runs_out_of_time(act, error):
        for timeout in (0.05, 1, 5):
            begin = time.monotonic()
            result, ticks = await with_heartbeat(act(timeout))
            assert isinstance(result, error)
            assert time.monotonic() - begin >= 0.9 * timeout
            if ticks >= 2:
                return
        pytest.fail("a blocked loop ticks once")

    return runs_out_of_time
