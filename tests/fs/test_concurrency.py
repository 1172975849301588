"""Many tasks, threads and processes at one path."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from mt.aio.core import srun
from mt.aio.fs import read_binary, write_binary
from mt.aio.fs.lowlevel import write_file

SIZE = 100_000
WRITERS = 8


def content_of(number):
    """Give the content that a writer writes: one byte, many times."""
    return bytes([number]) * SIZE


def assert_whole(path):
    """See that a file is the whole content of one writer, and the only one in its folder."""
    content = path.read_bytes()
    assert content == content_of(content[0])
    assert os.listdir(path.parent) == [path.name]


def test_tasks_writing_one_path(async_mode, tmp_path):
    """8 tasks that write one path over and over leave one whole content and nothing else."""
    path = tmp_path / "file"

    async def write(number, context_vars):
        for _ in range(10):
            content = content_of(number)
            await write_binary(path, content, context_vars=context_vars, durability="none")

    async def body(context_vars):
        await asyncio.gather(*(write(number, context_vars) for number in range(WRITERS)))

    async_mode.run(body)
    assert_whole(path)


def test_threads_writing_one_path(tmp_path):
    """8 threads likewise, in sync mode."""
    path = tmp_path / "file"
    errors = []

    def write(number):
        try:
            for _ in range(10):
                srun(write_binary, path, content_of(number), durability="none")
        except BaseException as exc:  # noqa: BLE001 - reported below
            errors.append(exc)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert_whole(path)


WRITE = """
import sys
from mt.aio.core import srun
from mt.aio.fs import write_binary
path, number, size, times = sys.argv[1], *map(int, sys.argv[2:])
print("ready", flush=True)
input()
for _ in range(times):
    srun(write_binary, path, bytes([number]) * size, durability="none")
"""


def start_writer(path, number, times):
    """Start a process that writes when it is released, and wait until it is ready."""
    command = [sys.executable, "-c", WRITE, *map(str, (path, number, SIZE, times))]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"ready\n"
    writer.stdout.close()
    return writer


def release(writer):
    """Let a waiting writer write."""
    writer.stdin.write(b"\n")
    writer.stdin.close()


@pytest.mark.slow
def test_processes_writing_one_path(tmp_path):
    """8 processes likewise."""
    path = tmp_path / "file"
    writers = [start_writer(path, number, 50) for number in range(WRITERS)]
    for writer in writers:
        release(writer)
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    assert_whole(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sync", "async"])
def test_reader_never_misses_the_file(tmp_path, name):
    """A reader that polls during 300 rewrites finds one whole content each time."""
    path = tmp_path / "file"
    path.write_bytes(content_of(0))
    writer = start_writer(path, 1, 300)
    release(writer)
    whole = {content_of(0), content_of(1)}

    def poll():
        seen = set()
        while writer.poll() is None or not seen:
            seen.add(srun(read_binary, path))
        return seen

    async def poll_async():
        seen = set()
        while writer.poll() is None or not seen:
            reads = (read_binary(path, context_vars={"async": True}) for _ in range(8))
            seen.update(await asyncio.gather(*reads))
        return seen

    assert (poll() if name == "sync" else asyncio.run(poll_async())) <= whole
    assert writer.wait() == 0
    assert_whole(path)


def test_writers_in_one_thread_do_not_wait_for_each_other(tmp_path, monkeypatch):
    """A plain write from a worker's own job to the same path does not deadlock."""
    path = tmp_path / "file"

    async def body():
        context_vars = {"async": True}
        futures = [await write_binary(path, b"x", 0o664, context_vars, True) for _ in range(5)]
        write_file(str(path), b"y")
        await asyncio.gather(*futures)

    asyncio.run(body())
    assert path.read_bytes() in {b"x", b"y"}
