"""What the tests of remote hosts share: a cluster on loopback, and the places to be tried."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess
from mt.aio.proc.lowlevel import LocalHost, RemoteHost

HERE = Path(__file__).parent

# A program of its own, so that a test may kill the workers; they have nothing of ours.
_WORKER = """
import asyncio, sys
from distributed import Worker
import dask

async def main():
    address, name, folder, resources, host = sys.argv[1:]
    dask.config.set({"distributed.worker.resources": {resources: 1} if resources else {}})
    async with Worker(address, name=name, nthreads=1, local_directory=folder, dashboard=False,
                      host=host, death_timeout=20) as worker:
        await worker.finished()

asyncio.run(main())
"""
_SCHEDULER = """
import asyncio, sys
from distributed import Scheduler

async def main():
    async with Scheduler(host=sys.argv[1], port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()

asyncio.run(main())
"""


class _Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path, workers: int = 2, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.stack = contextlib.ExitStack()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.link: Callable[[str], None] = str  # brings the link to the workers up or down
        self.scheduler = self._program(_SCHEDULER, host)
        self.address = self.scheduler.stdout.readline().decode().strip()
        for number in range(workers):
            self.add(f"w{number}", "GPU" if number == 0 else "")

    def add(
        self, name: str, resources: str = "", host: str = "127.0.0.1", before: tuple[str, ...] = ()
    ) -> None:
        """Start a worker."""
        arguments = (self.address, name, str(self.folder), resources, host)
        self.workers[name] = self._program(_WORKER, *arguments, before=before)

    def client(self, **options: Any) -> Any:
        """Connect to it, when all workers are there, unless an event loop waits for that."""
        from distributed import Client

        client = Client(self.address, set_as_default=False, timeout=20, **options)
        if options.get("asynchronous"):
            return client
        client.wait_for_workers(sum(w.poll() is None for w in self.workers.values()), timeout=30)
        return client

    def _program(
        self, text: str, *arguments: str, before: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        log = self.stack.enter_context((self.folder / "log").open("ab"))
        popen = subprocess.Popen(
            [*before, sys.executable, "-W", "ignore", "-P", "-c", text, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=self.folder,
            env=environment,
        )
        self.stack.enter_context(popen)
        self.stack.callback(popen.kill)
        self.stack.callback(popen.send_signal, signal.SIGCONT)
        return popen


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[_Cluster]:
    """Have a scheduler and two workers, the first of which has a GPU, or says so."""
    pytest.importorskip("distributed")
    made = _Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stack.close()


@pytest.fixture(scope="session")
def client(cluster) -> Iterator[Any]:
    """Have a client whose event loop runs in a thread."""
    with cluster.client() as made:
        yield made


@pytest.fixture
def own_cluster(tmp_path) -> Iterator[_Cluster]:
    """Start a cluster of one worker for a test that breaks it."""
    pytest.importorskip("distributed")
    made = _Cluster(tmp_path, 1)
    yield made
    made.stack.close()


@pytest.fixture
def far_cluster(tmp_path) -> Iterator[_Cluster]:
    """Start a cluster whose worker is in a network of its own, behind the link `link`."""
    pytest.importorskip("distributed")
    number = os.getpid() % 250
    name, link, net = f"mtaio{number}", f"mtaio{number}a", f"10.213.{number}"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("it takes root and the command ip to make network namespaces")

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    with contextlib.ExitStack() as stack:
        try:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            ip(
                "link",
                "add",
                link,
                "type",
                "veth",
                "peer",
                "name",
                f"mtaio{number}b",
                "netns",
                name,
            )
            ip("addr", "add", f"{net}.1/24", "dev", link)
            ip("link", "set", link, "up")
            ip("-n", name, "addr", "add", f"{net}.2/24", "dev", f"mtaio{number}b")
            ip("-n", name, "link", "set", f"mtaio{number}b", "up")
        except subprocess.CalledProcessError as exc:
            pytest.skip(f"no network namespaces here: {exc.stderr!r}")
        made = _Cluster(tmp_path, 0, f"{net}.1")
        stack.push(made.stack)
        made.add("far", "", f"{net}.2", ("ip", "netns", "exec", name))
        made.link = lambda state: ip("link", "set", link, state)
        yield made


@pytest.fixture(scope="session")
def doomed(cluster, client) -> list[str]:
    """Add workers that each test may take one of, to break it."""
    names = [f"doomed{number}" for number in range(6)]
    for name in names:
        cluster.add(name)
    client.wait_for_workers(len(cluster.workers), timeout=40)
    return names


class _Elsewhere(RemoteHost):
    """A remote host without an engine: each child is kept by a process of its own."""

    def __init__(self) -> None:
        super().__init__(timeout=20)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def carrier(self) -> Any:
        return _Pipe()

    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._rest(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _rest(self) -> None:
        """Wait for what is ending."""
        while rest := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(rest)


class _Pipe:
    """Carries calls to `elsewhere.py`."""

    def __init__(self) -> None:
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._writer: Any = None

    async def start(self, *asked: Any) -> tuple[int, str]:
        arrived = asyncio.get_running_loop().create_future()

        async def connected(reader: Any, writer: Any) -> None:
            arrived.set_result((reader, writer))

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 28)
        port = server.sockets[0].getsockname()[1]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "elsewhere.py"), str(port)
        )
        reader, self._writer = await arrived
        server.close()
        self._reading = asyncio.create_task(self._read(reader))
        return await self._ask("start", asked), "the other process"

    async def exchange(self, *asked: Any) -> Any:
        *rest, packets = asked
        packets = [(number, kind, [bytes(s) for s in every]) for number, kind, every in packets]
        return await self._ask("exchange", (*rest, packets))

    def gone(self) -> str:
        return ""

    def why_not(self) -> str:
        return ""

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def _ask(self, name: str, asked: Any) -> Any:
        self._number += 1
        future = self._answers[self._number] = asyncio.get_running_loop().create_future()
        data = pickle.dumps((self._number, name, asked))
        self._writer.write(len(data).to_bytes(8, "little") + data)
        return await future

    async def _read(self, reader: Any) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(8), "little")
                number, answer = pickle.loads(await reader.readexactly(size))
                future = self._answers.pop(number)
                if not future.done():
                    future.set_result(answer)
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(OSError(f"hung up: {exc}"))
        await self._process.wait()


@pytest.fixture(
    params=[
        "local",
        pytest.param("other process", marks=pytest.mark.slow),
        pytest.param("dask, direct", marks=pytest.mark.slow),
        pytest.param("dask, proxied", marks=pytest.mark.slow),
    ]
)
def host(request) -> Iterator[Any]:
    """Go through the places where a child can live."""
    if request.param == "local":
        yield LocalHost()
    elif request.param == "other process":
        elsewhere = _Elsewhere()
        yield elsewhere
        elsewhere.close()
    else:
        client = request.getfixturevalue("client")
        yield DaskHost(client, direct=request.param.endswith("direct"), timeout=20)


@pytest.fixture
def caller() -> type[BgProcess]:
    """Give a class whose child calls functions; made here, it always travels by value."""

    class Caller(BgProcess):
        def __init__(self, **options: Any) -> None:
            self.written: list[tuple[str, str]] = []
            super().__init__(**options)

        def child_handle_message(self, msg: Any) -> Any:
            func, *args = msg
            return func(*args)

        def on_write(self, stream: str, text: str) -> None:
            self.written.append((stream, text))

    return Caller


@pytest.fixture
def start(host, caller, vanishes) -> Iterator[Callable[..., Any]]:
    """Start processes on the host, and see that they are gone after the test."""
    started = []

    def start(cls: type[BgProcess] = caller, **options: Any) -> Any:
        started.append(cls(**{"host": host} | options))
        return started[-1]

    yield start
    pids = [process.pid for process in started if process.pid > 0]
    for process in started:
        process.close(0)
    for pid in pids:
        vanishes(pid, 10)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Have nothing of asyncio's to complain of; dask's connections come and go as they like."""
    yield
    gc.collect()


@pytest.fixture
def vanishes() -> Callable[[int, float], None]:
    """Wait for the end of a process, be it as a zombie; fail if it does not come in time."""

    def gone(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def vanishes(pid: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not gone(pid):
            assert time.monotonic() < deadline, "it lives on"
            time.sleep(0.01)

    return vanishes
