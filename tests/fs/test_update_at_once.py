"""Changing a JSON file as one step, by many at once: no change is lost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading

import pytest

from mt.aio.core import srun
from mt.aio.fs import json_update


def test_tasks(async_mode, counter, count):
    """Of the updates of 100 tasks none is lost."""

    async def body(context_vars):
        await asyncio.gather(
            *(json_update(counter, count, context_vars=context_vars) for _ in range(100))
        )

    async_mode.run(body)
    assert json.loads(counter.read_text()) == {"n": 100}


UPDATE = """
import asyncio, sys
from mt.aio.core import srun
from mt.aio.fs import json_update

path, mode, times = sys.argv[1], sys.argv[2], int(sys.argv[3])

def count(obj):
    obj["n"] += 1

async def main():
    options = {"context_vars": {"async": True}, "durability": "none", "timeout": 60}
    await asyncio.gather(*(json_update(path, count, **options) for _ in range(times)))

print(flush=True)
input()
if mode == "sync":
    for _ in range(times):
        srun(json_update, path, count, durability="none", timeout=60)
else:
    asyncio.run(main())
"""


@pytest.mark.slow
def test_tasks_threads_and_processes(counter, count):
    """Of the updates of 4 processes, 8 tasks and 4 threads at once none is lost."""
    pipe = subprocess.PIPE
    others = [
        subprocess.Popen(
            [sys.executable, "-c", UPDATE, counter, name, "25"], stdin=pipe, stdout=pipe
        )
        for name in ("sync", "sync", "async", "async")
    ]
    for other in others:
        other.stdout.readline()
        other.stdin.write(b"\n")
        other.stdin.flush()

    def update():
        for _ in range(10):
            srun(json_update, counter, count, durability="none", timeout=60)

    async def main():
        options = {"context_vars": {"async": True}, "durability": "none", "timeout": 60}
        await asyncio.gather(*(json_update(counter, count, **options) for _ in range(8)))

    threads = [threading.Thread(target=update) for _ in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(main())
    for thread in threads:
        thread.join()
    for other in others:
        other.communicate()
    assert json.loads(counter.read_text()) == {"n": 4 * 25 + 4 * 10 + 8}
    assert os.listdir(counter.parent) == ["state.json"]
