"""A cluster on loopback, each part of which is a process of its own.

The parts are forks of one process that has imported distributed, as that takes a second each time.
They have nothing of ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FACTORY = """
import asyncio, os, signal, sys
import dask
from distributed import Scheduler, Worker

async def scheduler(host):
    async with Scheduler(host=host, port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()

async def worker(address, name, folder, resources, host):
    dask.config.set({"distributed.worker.resources": {resources: 1} if resources else {}})
    options = {"nthreads": 1, "local_directory": folder, "dashboard": False, "death_timeout": 20}
    async with Worker(address, name=name, host=host, **options) as worker:
        await worker.finished()

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    kind, *arguments = line.rstrip().split("|")
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        asyncio.run({"scheduler": scheduler, "worker": worker}[kind](*arguments))
        os._exit(0)
    print(pid, flush=True)
"""


class Part:
    """A process of a cluster."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path, workers: int = 2, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.stack = contextlib.ExitStack()
        self.workers: dict[str, Part] = {}
        self.link: Callable[[str], None] = str  # brings the link to the workers up or down
        self._factory = self._start()
        self.scheduler = self._fork(self._factory, "scheduler", host)
        self.address = self._factory.stdout.readline().strip()
        for number in range(workers):
            self.add(f"w{number}", "GPU" if number == 0 else "")

    def add(
        self, name: str, resources: str = "", host: str = "127.0.0.1", before: tuple[str, ...] = ()
    ) -> None:
        """Start a worker, if need be by way of another program."""
        factory = self._start(before) if before else self._factory
        arguments = (self.address, name, str(self.folder), resources, host)
        self.workers[name] = self._fork(factory, "worker", *arguments)

    def client(self, workers: int | None = None, **options: Any) -> Any:
        """Connect to it, when all workers are there, unless an event loop waits for that."""
        from distributed import Client

        client = Client(self.address, set_as_default=False, timeout=20, **options)
        if not options.get("asynchronous"):
            client.wait_for_workers(workers or len(self.workers), timeout=30)
        return client

    def _start(self, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        log = self.stack.enter_context((self.folder / "log").open("ab"))
        popen = subprocess.Popen(
            [*before, sys.executable, "-W", "ignore", "-P", "-c", _FACTORY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=self.folder,
            env=environment,
        )
        self.stack.enter_context(popen)
        self.stack.callback(popen.kill)
        return popen

    def _fork(self, factory: subprocess.Popen[str], *what: str) -> Part:
        factory.stdin.write("|".join(what) + "\n")
        factory.stdin.flush()
        part = Part(int(factory.stdout.readline()))
        self.stack.callback(part.kill)
        return part
