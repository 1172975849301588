"""A cluster on loopback, each part of which is a process of its own.

The parts are forks of one process that has imported distributed, as that takes a second each time.
Its Python has what distributed needs, and numpy, which a test sends; nothing of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

_PROGRAM = """
import asyncio, ctypes, json, os, signal, sys
import distributed, numpy

async def serve(kind, arguments, options):
    async with getattr(distributed, kind)(*arguments, **options) as part:
        if kind == "Scheduler":
            print(part.address, flush=True)
        await part.finished()

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    net, *what = json.loads(line)
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(readable, 1)  # what it prints comes after its process id
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if net:
            with open("/run/netns/" + net) as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0):
                    sys.exit("setns: " + os.strerror(ctypes.get_errno()))
        asyncio.run(serve(*what))
        os._exit(0)
    print(pid, flush=True)
    os.write(writable, b"x")
    os.close(readable)
    os.close(writable)
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


class Factory:
    """A process that makes parts of clusters, by forks of itself."""

    def __init__(self, folder: Path) -> None:
        self.stack = contextlib.ExitStack()
        self.folder = folder
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._popen = subprocess.Popen(
            [_bare_python(folder / "bare"), "-W", "ignore", "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stack.enter_context((folder / "log").open("ab")),
            text=True,
            cwd=folder,
            env=environment,
        )
        self.stack.enter_context(self._popen)
        self.stack.callback(self._popen.kill)

    def make(self, kind: str, *arguments: str, net: str = "", **options: Any) -> Part:
        """Make a part of a cluster, in another network namespace if need be."""
        print(json.dumps([net, kind, arguments, options]), file=self._popen.stdin, flush=True)
        return Part(int(self.line()))

    def line(self) -> str:
        """Read what it prints."""
        return self._popen.stdout.readline().strip()


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(
        self, factory: Factory, workers: int = 2, host: str = "127.0.0.1", **options: Any
    ) -> None:
        self.stack = contextlib.ExitStack()
        self.workers: dict[str, Part] = {}
        self._factory = factory
        self._options = {"dashboard": False, "host": host} | options
        self.scheduler = self._add("Scheduler", port=0)
        self.address = factory.line()
        for number in range(workers):
            self.add(f"w{number}", **({} if number else {"resources": {"GPU": 1}}))

    def add(self, name: str, kind: str = "Worker", **options: Any) -> None:
        """Start a worker."""
        folder = str(self._factory.folder)
        options = {"nthreads": 1, "local_directory": folder, "death_timeout": 20} | options
        self.workers[name] = self._add(kind, self.address, name=name, **options)

    def client(self, workers: int | None = None, **options: Any) -> Any:
        """Connect to it, when all workers are there, unless an event loop waits for that."""
        from distributed import Client

        client = Client(self.address, set_as_default=False, timeout=20, **options)
        if not options.get("asynchronous"):
            client.wait_for_workers(workers or len(self.workers), timeout=30)
        return client

    def _add(self, kind: str, *arguments: str, **options: Any) -> Part:
        part = self._factory.make(kind, *arguments, **self._options | options)
        self.stack.callback(part.kill)
        return part


def _bare_python(folder: Path) -> Path:
    """Make an environment that has distributed, numpy, and what they need: links to those here."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in _with_what_they_need(["distributed", "numpy"]):
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(found.locate_file(top))
    return folder / "bin" / "python"


def _with_what_they_need(names: list[str]) -> set[str]:
    """Name these distributions and all that they depend on, as far as they are here."""
    found: set[str] = set()
    while names:
        name = names.pop()
        with contextlib.suppress(PackageNotFoundError):
            needs = distribution(name).requires or []
            found.add(name)
            plain = [re.split(r"[^\w.-]", need)[0] for need in needs if "extra ==" not in need]
            names += set(plain) - found
    return found
