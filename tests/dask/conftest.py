"""What the tests of remote hosts share: a cluster on loopback, and the places to be tried."""

from __future__ import annotations

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


Cluster = _load("loopback").Cluster
Elsewhere = _load("elsewhere").Elsewhere


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """Have a scheduler and two workers, the first of which has a GPU, or says so."""
    pytest.importorskip("distributed")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stack.close()


@pytest.fixture(scope="session")
def client(cluster) -> Iterator[Any]:
    """Have a client whose event loop runs in a thread."""
    with cluster.client() as made:
        yield made


@pytest.fixture
def own_cluster(tmp_path) -> Iterator[Cluster]:
    """Start a cluster of one worker for a test that breaks it."""
    pytest.importorskip("distributed")
    made = Cluster(tmp_path, 1)
    yield made
    made.stack.close()


@pytest.fixture
def far_cluster(tmp_path) -> Iterator[Cluster]:
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
        made = Cluster(tmp_path, 0, f"{net}.1")
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
        elsewhere = Elsewhere()
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
        deadline = time.monotonic() + seconds + 5  # a busy machine may be late
        while not gone(pid):
            assert time.monotonic() < deadline, "it lives on"
            time.sleep(0.01)

    return vanishes
