"""Many writes with durability "full", one flush of the folder."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from mt.aio.core import srun
from mt.aio.core.lowlevel import later, offload, submit
from mt.aio.fs import _folder, write_binary
from mt.aio.fs.lowlevel import Replacement, resolve_target, write_all

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no flushing of folders")

ASYNC = {"async": True}


def test_writes_at_once_share_flushes(one_thread, tmp_path, monkeypatch):
    """Of 200 writes awaited at once, with "full", each is flushed, the folder a few times.

    They are made to wait for one thread until all are there, which a busy machine may prevent.
    """
    gate = threading.Event()
    seen, real = [], os.fsync

    def fsync(fd):
        seen.append(os.path.isdir(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)

    async def main():
        submit(gate.wait, 30)
        writing = asyncio.gather(
            *(
                write_binary(tmp_path / str(n), b"x", context_vars=ASYNC, durability="full")
                for n in range(200)
            )
        )
        asyncio.get_running_loop().call_soon(gate.set)  # after the first step of each
        return await writing

    assert asyncio.run(main()) == [1] * 200
    assert seen.count(False) == 200
    assert 1 <= seen.count(True) <= 40
    assert len(os.listdir(tmp_path)) == 200


def test_writes_to_many_folders_hold_few_open(tmp_path):
    """Writes to 100 folders at once do not keep a descriptor for each."""
    most = 0
    folders = [tmp_path / str(number) for number in range(100)]

    async def main():
        nonlocal most
        tasks = [
            asyncio.ensure_future(
                write_binary(folder / "file", b"x", 0o664, ASYNC, make_dirs=True, durability="full")
            )
            for folder in folders
        ]
        while not all(task.done() for task in tasks):
            most = max(most, len(_folder._groups))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert most <= _folder._MOST + 1 + 32
    assert _folder._groups == {}
    assert all((folder / "file").exists() for folder in folders)


def test_formats_of_others_can_share_too(mode, tmp_path, monkeypatch):
    """A job of somebody else's publishes for now, and leaves the flush for later."""
    flushed, real = [], os.fsync

    def fsync(fd):
        flushed.append(os.path.isdir(f"/proc/self/fd/{fd}"))
        real(fd)

    def save(path):
        with Replacement(resolve_target(str(path))) as new:
            write_all(new.fileno(), b"content")
            change = new.publish_for_now("full")

        def flush():
            with change:
                change.flush()

        assert path.read_bytes() == b"content"
        return later(flush)

    async def body(context_vars):
        for number in range(3):
            await offload(save, tmp_path / str(number), context_vars=context_vars)

    monkeypatch.setattr(os, "fsync", fsync)
    mode.run(body)
    assert flushed == [False, True] * 3
    with Replacement(resolve_target(str(tmp_path / "none"))) as new:
        assert new.publish_for_now("atomic") is None


def test_a_thread_in_sync_mode_shares_with_tasks(tmp_path):
    """Plain threads and tasks flush one folder together; all return."""
    errors = []

    def thread(number):
        try:
            for turn in range(10):
                srun(write_binary, tmp_path / f"{number}-{turn}", b"x", durability="full")
        except BaseException as exc:  # noqa: BLE001 - reported below
            errors.append(exc)

    async def main():
        await asyncio.gather(
            *(
                write_binary(tmp_path / f"task-{n}", b"x", context_vars=ASYNC, durability="full")
                for n in range(40)
            )
        )

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    asyncio.run(main())
    for each in threads:
        each.join()
    assert errors == []
    assert len(os.listdir(tmp_path)) == 80
    assert _folder._groups == {}
