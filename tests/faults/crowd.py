"""What one process of a crowd does: it writes one path over and over, or reads it."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import threading

from mt.aio.core import srun
from mt.aio.fs import json_load, json_save, read_binary, write_binary

SIZE = 50_000
TIMES = 20


def _content(number):
    return bytes([number]) * SIZE


def write(path, number):
    """Write in this process: with 8 tasks, 8 threads, or alone, as the number says."""

    def alone():
        for _ in range(TIMES):
            srun(write_binary, path, _content(number), durability="none")
            srun(json_save, f"{path}.json", [number] * 1000, durability="none")

    async def task():
        options = {"context_vars": {"async": True}, "durability": "none"}
        for _ in range(TIMES):
            await write_binary(path, _content(number), **options)
            await json_save(f"{path}.json", [number] * 1000, **options)

    async def tasks():
        await asyncio.gather(*(task() for _ in range(8)))

    if number == 1:
        asyncio.run(tasks())
    elif number == 2:
        threads = [threading.Thread(target=alone) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        alone()


def read(path, stop):
    """Read until told to stop; print how often, after a look at every content."""
    count = 0
    while not os.path.exists(stop):
        content = srun(read_binary, path)
        assert content == _content(content[0]), "torn"
        words = srun(json_load, f"{path}.json")
        assert words == words[:1] * 1000, "torn"
        count += 1
        if count == 1:
            print("ready", flush=True)
    print(count)


def flood(folder, loop):
    """Read and write 5,000 files at once with 64 descriptors; print the most that were open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    if loop == "uvloop":
        import uvloop

        run = uvloop.run
    else:
        run = asyncio.run
    options = {"context_vars": {"async": True}}
    most = [0]

    async def watch():
        while True:
            most[0] = max(most[0], len(os.listdir("/proc/self/fd")))
            await asyncio.sleep(0.005)

    async def main():
        watcher = asyncio.create_task(watch())
        names = [f"{folder}/{i}" for i in range(5000)]
        sizes = await asyncio.gather(
            *(write_binary(n, n.encode(), durability="none", **options) for n in names)
        )
        assert sizes == [len(n) for n in names]
        assert await asyncio.gather(*(read_binary(n, **options) for n in names)) == [
            n.encode() for n in names
        ]
        watcher.cancel()

    run(main())
    print(most[0])


if __name__ == "__main__":
    action, *arguments = sys.argv[1:]
    if action == "write":
        print("ready", flush=True)
        sys.stdin.readline()
        write(arguments[0], int(arguments[1]))
    elif action == "read":
        read(*arguments)
    else:
        flood(*arguments)
