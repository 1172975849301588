"""Many at once: writers of one path with readers, and more files than descriptors."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CROWD = Path(__file__).parent / "crowd.py"


@pytest.fixture
def memory_folder():
    """A folder in memory, where there is one."""
    folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    yield Path(folder)
    shutil.rmtree(folder)


def start(*args):
    """Start a process of the crowd."""
    command = [sys.executable, str(CROWD), *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_tasks_threads_and_processes(memory_folder):
    """8 tasks, 8 threads and 8 processes write one path while 2 read it: always whole, no error."""
    path = memory_folder / "place" / "file"
    path.parent.mkdir()
    stop = memory_folder / "stop"
    writers = [start("write", path, number) for number in range(10)]  # 0 and 3 to 9, 1 and 2
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    first = start("write", path, 0)
    first.communicate("\n")
    readers = [start("read", path, stop) for _ in range(2)]
    assert [reader.stdout.readline() for reader in readers] == ["ready\n"] * 2
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    stop.touch()
    counts = [int(reader.communicate()[0] or -1) for reader in readers]
    assert [process.returncode for process in (first, *writers, *readers)] == [0] * 13
    assert min(counts) > 1
    assert sorted(os.listdir(path.parent)) == ["file", "file.json"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_more_files_than_descriptors(memory_folder, loop):
    """5,000 writes and 5,000 reads at once succeed under `ulimit -n 64`, with a few files open."""
    if importlib.util.find_spec(loop) is None:
        pytest.skip("uvloop is not installed")
    process = start("flood", memory_folder, loop)
    output = process.communicate(timeout=50)[0]
    assert process.returncode == 0
    assert int(output) < 50
    assert len(os.listdir(memory_folder)) == 5000
