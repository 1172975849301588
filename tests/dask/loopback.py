"""A cluster on loopback, each part of which is a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


class Cluster:
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
