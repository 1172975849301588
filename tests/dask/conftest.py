"""What the tests of remote hosts share: a cluster on loopback, and the places to be tried."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess
from mt.aio.proc.lowlevel import LocalHost

HERE = Path(__file__).parent


def _load(name: str) -> Any:
    """Load a module that stands beside this one."""
    spec = importlib.util.spec_from_file_location(f"cluster_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


loopback = _load("loopback")
Cluster = loopback.Cluster
Elsewhere = _load("elsewhere").Elsewhere
Stopwatch = _load("stopwatch").Stopwatch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do without dask's warning that the workers lack packages which are here."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.filterwarnings("ignore:Mismatched versions"))


@pytest.fixture(scope="session")
def factory(tmp_path_factory) -> Iterator[Any]:
    """Have what makes the parts of clusters."""
    pytest.importorskip("distributed")
    made = loopback.Factory(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stack.close()


@pytest.fixture(scope="session")
def cluster(factory) -> Iterator[Cluster]:
    """Have a scheduler and two workers, the first of which has a GPU, or says so."""
    made = Cluster(factory)
    yield made
    made.stack.close()


@pytest.fixture(scope="session")
def client(cluster) -> Iterator[Any]:
    """Have a client whose event loop runs in a thread."""
    with cluster.client() as made:
        gc.collect()
        gc.freeze()  # or each collection would look through all of distributed
        yield made
    gc.unfreeze()


@pytest.fixture
def own_cluster(factory) -> Iterator[Callable[..., Cluster]]:
    """Start a cluster of one worker, for a test that breaks it or needs another kind."""
    with contextlib.ExitStack() as stack:

        def own(workers: int = 1, *arguments: Any, **options: Any) -> Cluster:
            made = Cluster(factory, workers, *arguments, **options)
            stack.push(made.stack)
            return made

        yield own


@pytest.fixture
def far_cluster(own_cluster) -> Iterator[Cluster]:
    """Start a cluster whose worker is in a network of its own, behind a link."""
    number = os.getpid() % 250
    name, net = f"mtaio{number}", f"10.213.{number}"
    near, far = f"{name}a", f"{name}b"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("it takes root and the command ip to make network namespaces")

    def ip(words: str) -> None:
        subprocess.run(["ip", *words.split()], check=True, capture_output=True)

    with contextlib.ExitStack() as stack:
        try:
            ip(f"netns add {name}")
            stack.callback(ip, f"netns del {name}")
            ip(f"link add {near} type veth peer name {far} netns {name}")
            ip(f"addr add {net}.1/24 dev {near}")
            ip(f"link set {near} up")
            ip(f"-n {name} addr add {net}.2/24 dev {far}")
            ip(f"-n {name} link set {far} up")
        except subprocess.CalledProcessError as exc:
            pytest.skip(f"no network namespaces here: {exc.stderr!r}")
        made = own_cluster(0, f"{net}.1")
        made.add("far", host=f"{net}.2", net=name)
        made.link = lambda state: ip(f"link set {near} {state}")
        yield made


@pytest.fixture
def doomed(cluster) -> Iterator[list[str]]:
    """Add two workers, for a test that breaks them; a child that is for one waits until it came."""
    names = ["doomed1", "doomed2"]
    for name in names:
        cluster.add(name)
    yield names
    for name in names:
        cluster.workers.pop(name).kill()


@pytest.fixture(scope="session")
def other_process() -> Iterator[Any]:
    """Have a process that keeps children."""
    made = Elsewhere()
    yield made
    made.close()


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
        yield request.getfixturevalue("other_process")
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

        async def begins(self) -> None:
            """Wait until the child has printed something."""
            async with asyncio.timeout(30):
                while not self.written:
                    await asyncio.sleep(0.01)

        def child_handle_message(self, msg: Any) -> Any:
            func, *args = msg
            return func(*args)

        def on_write(self, stream: str, text: str) -> None:
            self.written.append((stream, text))

    return Caller


@pytest.fixture
def gate(tmp_path) -> Iterator[Any]:
    """Give a function for a child, which says that it has begun and waits, and what ends it."""
    path = str(tmp_path / "gate")

    def wait() -> None:
        print("begun", flush=True)  # noqa: T201 - the child's output is what is waited for
        while not os.path.exists(path):
            time.sleep(0.01)

    wait.open = Path(path).touch
    yield wait
    wait.open()


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
        vanishes(pid)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Have nothing of asyncio's to complain of; dask's connections come and go as they like."""
    yield
    gc.collect()


@pytest.fixture
def stopwatch() -> type[Any]:
    """Give what counts the seconds that the machine had to give."""
    return Stopwatch


@pytest.fixture
def vanishes() -> Callable[..., None]:
    """Wait for the end of a process, be it as a zombie; fail if it comes too late, if at all."""

    def gone(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def vanishes(pid: int, seconds: float = 30) -> None:
        watch = Stopwatch()
        while not gone(pid):
            assert watch.passed() < 35, "it lives on"
            time.sleep(0.01)
        watch.check(seconds)

    return vanishes
