"""Every system call of writing an HDF5 file fails once, and is the last one of its process once.

A dry run under strace lists the calls; then each run lets one of them fail or be the moment of a
SIGKILL. The writer runs in synchronous mode: strace counts calls by thread.
"""

from __future__ import annotations

import collections
import errno
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

PATIENCE = 8.0  # seconds

CHANGES = ("openat", "pwrite64", "ftruncate", "fchmod", "fsync", "rename", "unlink", "close")

# With durability="full" these happen to the folder, when the file has its name already.
LATE = {"fsync", "close"}

WRITERS = {
    "create": """
        async with CreateFileH5(path, context_vars=context_vars, verify=True) as f:
            await f.write("new", data, chunks=(10_000,), compression="gzip", shuffle=True)
            await f.write("plain", data)
    """,
    "handle": """
        async with CreateFileH5(path, context_vars=context_vars, durability="full") as f:
            # Kept: if HDF5 cannot write what it lets go of, it crashes; see CreateFileH5, On error.
            kept = f.handle.create_dataset("new", data=data, chunks=(10_000,), compression="lzf")
    """,
    "change": """
        async with OpenFileH5(path, "r+", context_vars) as f:
            await f.write("new", data)
            del f.handle["old"]
    """,
}

# Forked for each run, after one write elsewhere: nothing is left to be imported then.
PROGRAM = """
import os, sys
import numpy as np
import h5py, h5py._hl.filters
from mt.aio.core import srun
from mt.aio.h5 import CreateFileH5, OpenFileH5

data = np.arange(50_000)

async def write(path, context_vars={}):
BODY

def run(path):
    try:
        srun(write, path)
    except OSError as exc:
        return f"{type(exc).__name__} {exc}".replace("\\n", " ")
    except Exception as exc:
        return f"WRONG {type(exc).__name__} {exc}".replace("\\n", " ")
    return "written"

warm = sys.argv[1]
with h5py.File(warm, "w") as f:
    f["old"] = [1, 2]
run(warm)
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        # A fork has no threads: what they need is made again here, not under strace.
        with h5py.File(warm, "w") as f:
            f["old"] = [1, 2]
        run(warm)
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        print(run(line.strip()), flush=True)  # and here the calls that count end
        left = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
        print(*[x for x in left if "mttmp" in x or "memfd" in x], flush=True)
        sys.exit()
    print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Writer:
    """A warmed-up process that writes once for each fault, traced by strace."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        body = textwrap.indent(textwrap.dedent(WRITERS[name]), "    ")
        self.path = folder / "file.h5"
        self._folder = folder
        self._log = folder.parent / "calls.log"
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-u",
                "-c",
                PROGRAM.replace("BODY", body),
                str(folder.parent / "w.h5"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._child = ""

    def run(self, *strace: str) -> tuple[str, int]:
        """Write once under strace; return what the writer says and its exit code."""
        for path in self._folder.iterdir():
            path.unlink()
        with h5py.File(self.path, "w") as file:
            file["old"] = [1, 2]
        self._tell(str(self.path))
        self._child = ""
        self._child = pid = self._hear()
        command = ["strace", "-f", "-p", pid, "-o", str(self._log), *strace]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            if "attached" not in (first := tracer.stderr.readline()):
                self._tell("go")
                pytest.skip(f"strace cannot attach: {first}")
            self._tell("go")
            told = self._hear()
            if told.startswith("ended"):
                told, ended = "", told
            else:
                told += "; " + self._hear()
                ended = self._hear()
            tracer.communicate()
        return told.removesuffix("; "), int(ended.split()[1])

    def calls(self) -> collections.Counter[str]:
        """Count the calls of the thread that does the writing, by name."""
        lines = self._log.read_text().splitlines()
        main = lines[0].split()[0]
        end = next(at for at, line in enumerate(lines) if "write(1, " in line)
        found = (re.match(r"(\d+) +(\w+)\(", line) for line in lines[:end])
        return collections.Counter(m[2] for m in found if m and m[1] == main)

    def left(self) -> list[str]:
        """List what is in the folder besides the target."""
        return sorted(path.name for path in self._folder.iterdir() if path != self.path)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _tell(self, line: str) -> None:
        self._process.stdin.write(line.encode() + b"\n")

    def _hear(self) -> str:
        """Read a line; a writer that says nothing for long is killed, and ends with -9."""
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        if not ready and self._child:
            os.kill(int(self._child), signal.SIGKILL)
        return self._process.stdout.readline().decode().strip()


@pytest.fixture(params=WRITERS)
def writer(request, tmp_path):
    """A writer of each kind, with a folder of its own."""
    folder = tmp_path / "folder"
    folder.mkdir()
    made = Writer(request.param, folder)
    yield made
    made.close()


def _points(writer):
    """List the calls (name, number) that writing makes."""
    told, code = writer.run("-e", "trace=write," + ",".join(CHANGES))
    assert (told, code) == ("written", 0)
    return [(name, n) for name, count in writer.calls().items() for n in range(1, count + 1)]


def _state(path):
    """Tell which content is there; anything but a whole one fails."""
    with h5py.File(path, "r") as file:
        names = set(file)
        if names == {"old"}:
            assert file["old"][()].tolist() == [1, 2]
            return "old"
        assert "old" not in names
        for name in names:
            assert file[name][()].tolist() == list(range(50_000))
        return "new"


@pytest.mark.timeout(300)
def test_killed_at_any_call(writer):
    """A process killed at any system call leaves the whole old or the whole new content."""
    points = _points(writer)
    seen = set()
    for name, n in points:
        _, code = writer.run("-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={n}")
        assert code in {-signal.SIGKILL, 0}, (name, n)
        state = _state(writer.path)
        seen.add(state)
        left = writer.left()
        assert len(left) <= 1, (name, n, left)
        assert all(each.endswith(".mttmp") for each in left)
    assert "old" in seen
    for each in writer.left():
        os.unlink(writer.path.parent / each)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_any_call_fails(writer, error):
    """A system call that fails is an OSError, or of no consequence; nothing is left behind."""
    for name, n in _points(writer):
        told, code = writer.run(
            "-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={n}"
        )
        assert code == 0, (name, n, told)
        assert not told.startswith("WRONG"), (name, n, told)
        state = _state(writer.path)
        number = errno.EIO if name == "newfstatat" else getattr(errno, error)
        assert told.startswith(("written", f"OSError [Errno {number}] ")), (name, n, told)
        assert told.split(";")[0] == "written" or state == "old" or name in LATE, (name, n, told)
        assert state == "new" or told.split(";")[0] != "written", (name, n)
        if name not in {"unlink", "close"}:
            assert ";" not in told, (name, n, told)
            assert writer.left() == [], (name, n, told)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_all_calls_fail_from_one_on(writer, error):
    """A disk that takes no more from some moment on: the old content, and the process lives."""
    if writer.name == "handle":
        pytest.skip("here the scratch file takes no more, either; see tests/h5/test_full.py")
    for name, n in _points(writer):
        if name not in {"pwrite64", "ftruncate", "fsync"}:
            continue
        told, code = writer.run(
            "-e", "trace=pwrite64,ftruncate,fsync", "-e", f"inject={name}:error={error}:when={n}+"
        )
        assert code == 0, (name, n, told)
        assert not told.startswith("WRONG"), (name, n, told)
        assert (told.split(";")[0] == "written") == (_state(writer.path) == "new"), (name, n, told)
        assert ";" not in told, (name, n, told)
        assert writer.left() == [], (name, n, told)
