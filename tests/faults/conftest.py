"""Processes that are made to fail, and the tools that do so."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from mt.aio.core import srun
from mt.aio.fs import sweep

HERE = Path(__file__).parent

pytest.importorskip("h5py")
pytest.importorskip("numpy")
if sys.platform != "linux":
    pytest.skip("faults are made with Linux's tools", allow_module_level=True)


def pytest_collection_modifyitems(items):
    """Mark what is here."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("faults")


def _load_jobs():
    spec = importlib.util.spec_from_file_location("fault_jobs", HERE / "jobs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


JOBS = _load_jobs()


@pytest.fixture
def jobs():
    """The module of the jobs."""
    return JOBS


@pytest.fixture(params=list(JOBS.JOBS))
def job(request):
    """Give the name of each public writer."""
    return request.param


@pytest.fixture(params=["sync", "async"])
def mode_name(request):
    """Both modes, for processes that are told which."""
    return request.param


class Call(NamedTuple):
    """A system call in a trace: its thread, name and how often the thread had made it by then."""

    thread: str
    name: str
    count: int
    text: str


class Server:
    """Starts processes that do a job, under a tracer or not; see jobs.py."""

    def __init__(self, folder):
        command = [sys.executable, "-W", "ignore", str(HERE / "jobs.py"), str(folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def close(self):
        """End the server."""
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait() == 0

    def tell(self, text):
        """Send a line."""
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def prepare(self, **order):
        """Fork a process for a job; give its id. It waits until it is let go."""
        self.tell(json.dumps(order))
        return int(self.process.stdout.readline())

    def go(self):
        """Let the process do its job."""
        self.tell("go")

    def end(self):
        """Wait for its end, and say how it was: an error's number, or minus a signal's."""
        return int(self.process.stdout.readline())

    def traced(self, log, *options, **order):
        """Do a job under strace; give how it ended."""
        pid = self.prepare(**order)
        command = ["strace", "-f", "-y", "-s", "16", "-o", str(log), *options, "-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = tracer.stderr.readline()
        self.go()
        ended = self.end()
        rest = tracer.communicate()[1]
        assert "attached" in line, line + rest
        return ended

    @staticmethod
    def calls(log):
        """List the calls of a trace that a job made, in their order, with those of its threads."""
        counts = {}
        calls = []
        begun = False
        for line in log.read_text(errors="replace").splitlines():
            found = re.match(r"(\d+) +(\w+)\((.*)", line)
            if not found:  # the end of a call that others interrupted, or of a thread
                continue
            thread, name, text = found.groups()
            counts[thread, name] = counts.get((thread, name), 0) + 1
            if '"/fault/begin"' in text:
                begun = True
            elif '"/fault/end"' in text:
                return calls
            elif begun:
                calls.append(Call(thread, name, counts[thread, name], text))
        raise AssertionError(f"the job did not end: {calls[-1:]}")


@pytest.fixture(scope="session")
def trace_log(tmp_path_factory):
    """A file for traces, and a mere excuse to see once whether tracing works here."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    log = tmp_path_factory.mktemp("trace") / "log"
    command = ["strace", "-o", str(log), "-e", "inject=fsync:error=EIO", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"strace cannot trace here: {done.stderr.strip()}")
    return log


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of jobs."""
    folder = tmp_path_factory.mktemp("server") / "here"
    folder.mkdir()
    for word in ("abc", "xyz", "old", "new"):
        (folder.parent / word).write_bytes(word.encode() * JOBS.SIZE)
    server = Server(folder)
    yield server
    server.close()


class Place:
    """A target in a folder of its own."""

    def __init__(self, folder, job):
        folder.mkdir()
        for word in ("abc", "xyz", "old", "new"):
            (folder.parent / word).write_bytes(word.encode() * JOBS.SIZE)
        self.job = job
        self.before = None if "exclusive" in job else "old"
        self.folder = folder
        self.path = str(folder / "file")

    def order(self, **more):
        """Give what a server is to be told to write here."""
        return {"job": self.job, "path": self.path, "durability": "full"} | more

    def concerns(self, call):
        """Whether a system call is about this folder, or a file or descriptor in it."""
        return str(self.folder) in call.text

    def reset(self, word):
        """Let the target be what it was: a word, or nothing."""
        for path in self.folder.iterdir():
            path.unlink()
        if word is not None:
            JOBS.write(self.job, self.path, word)

    def word(self):
        """Give what is there, None for nothing; a torn content raises."""
        return JOBS.read(self.job, self.path)

    def left(self):
        """Name what else is in the folder."""
        return sorted(set(os.listdir(self.folder)) - {"file"})

    def sweep(self):
        """Sweep, and name what is left after that."""
        srun(sweep, self.folder)
        return self.left()


@pytest.fixture
def place(tmp_path, job):
    """A target for the job."""
    return Place(tmp_path / "place", job)


@pytest.fixture
def new_place():
    """Make a target for a job in a folder yet to be made."""
    return Place
