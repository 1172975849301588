"""What is made to fail: each public writer, as a job that a forked process does once.

As a program it is a server: it has everything imported, forks a process for each job that it is
told of, lets it go when it is told so, and says how it ended. Forking takes milliseconds where
starting an interpreter under a tracer takes a second, so that every fault point can have its run.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import select
import sys
import traceback

from mt.aio.core import srun
from mt.aio.fs import (
    copy,
    json_load,
    json_save,
    json_update,
    npz_load,
    npz_save,
    symlink,
    write_binary,
    write_text,
)

SIZE = 100_000


async def _binary(path, word, **options):
    await write_binary(path, word.encode() * SIZE, **options)


async def _exclusive(path, word, **options):
    await write_binary(path, word.encode() * SIZE, exclusive=True, **options)


async def _text(path, word, **options):
    await write_text(path, word * SIZE, 0o600, **options)


async def _delayed(path, word, *, context_vars, **options):
    result = await write_binary(path, word.encode() * SIZE, None, context_vars, True, **options)
    if context_vars["async"]:
        await result


async def _json(path, word, **options):
    await json_save(path, [word] * 1000, **options)


async def _npz(path, word, **options):
    await npz_save(path, {"word": [word] * 100}, **options)


async def _update(path, word, **options):
    await json_update(path, lambda _: [word] * 1000, default=None, **options)


async def _copy(path, word, **options):
    await copy(os.path.join(os.path.dirname(path), "..", word), path, **options)


async def _link(path, word, **options):
    await symlink(word, path, replace=True, **options)


async def _h5(path, word, *, context_vars, durability):
    from mt.aio.h5 import CreateFileH5

    async with CreateFileH5(path, context_vars=context_vars, durability=durability) as f:
        await f.run(f.handle.create_dataset, "word", data=[word.encode()] * 1000)


def _read_bytes(path):
    with open(path, "rb") as file:
        content = file.read()
    word = content[:3].decode()
    assert content == word.encode() * SIZE, "torn"
    return word


def _read_words(words):
    assert len(set(words)) == 1, "torn"
    return words[0]


def _read_h5(path):
    import h5py

    with h5py.File(path) as file:
        return _read_words([word.decode() for word in file["word"]])


# How each writes a word of three letters to a path, and how it is read back; what is torn raises.
JOBS = {
    "write_binary": (_binary, _read_bytes),
    "write_binary exclusive": (_exclusive, _read_bytes),
    "write_binary delayed": (_delayed, _read_bytes),
    "write_text": (_text, _read_bytes),
    "json_save": (_json, lambda path: _read_words(srun(json_load, path))),
    "json_update": (_update, lambda path: _read_words(srun(json_load, path))),
    "npz_save": (_npz, lambda path: _read_words(list(srun(npz_load, path)["word"]))),
    "copy": (_copy, _read_bytes),
    "symlink": (_link, os.readlink),
    "CreateFileH5": (_h5, _read_h5),
}


async def _many(path, word, *, context_vars, **options):
    write = (
        write_binary(f"{path}{i}", word.encode(), context_vars=context_vars, **options)
        for i in range(20)
    )
    if context_vars["async"]:
        await asyncio.gather(*write)
    else:
        for one in write:
            await one


async def _folder(path, word, **options):
    await copy(os.path.join(os.path.dirname(path), "..", word), path, **options)


MORE = {"many": _many, "copy of a folder": _folder}


def write(job, path, word, *, mode="sync", durability="none"):
    """Do a job in this process."""
    func = JOBS[job][0] if job in JOBS else MORE[job]
    if mode == "sync":
        srun(func, path, word, durability=durability)
    else:
        asyncio.run(func(path, word, context_vars={"async": True}, durability=durability))


def read(job, path):
    """Give the word that a job has written whole, None if there is nothing."""
    return JOBS[job][1](path) if os.path.lexists(path) else None


def _mark(name):
    """Make a system call that shows in a trace."""
    os.path.exists(f"/fault/{name}")


async def _cancelled(order):
    """Cancel a job after some time, and see that nothing changes when it has ended."""
    coro = JOBS[order["job"]][0](
        order["path"], "new", context_vars={"async": True}, durability=order["durability"]
    )
    task = asyncio.create_task(coro)
    await asyncio.wait([task], timeout=order["cancel_after"])
    task.cancel()
    await asyncio.wait([task])
    seen = _state(order["path"])
    await asyncio.sleep(order["look_after"])  # a ghost would write now
    assert _state(order["path"]) == seen, "a ghost"


def _state(path):
    """Describe all that is in a file's folder."""
    folder = os.path.dirname(path)
    found = {name: os.lstat(os.path.join(folder, name)) for name in os.listdir(folder)}
    return {
        name: (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
        for name, status in found.items()
    }


def _work(order):
    """Do a job in a forked process, which ends with the error's number."""
    code = 0
    try:
        if order.get("again"):
            while True:
                for word in ("xyz", "abc"):
                    write(
                        order["job"],
                        order["path"],
                        word,
                        mode=order["mode"],
                        durability=order["durability"],
                    )
        if order.get("most_bytes"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["most_bytes"],) * 2)
        if order.get("cancel_after"):
            asyncio.run(_cancelled(order))
            return
        _mark("begin")
        write(
            order["job"], order["path"], "new", mode=order["mode"], durability=order["durability"]
        )
        _mark("end")
    except OSError as exc:
        code = exc.errno or 254
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
        code = 255
    finally:
        os._exit(code)


def _serve():
    for line in sys.stdin:
        order = json.loads(line)
        go, going = os.pipe()
        child = os.fork()
        if not child:
            os.close(going)
            # Here, so that a tracer that comes now sees nothing but the job.
            os.write(1, b"%d\n" % os.getpid())
            select.select([go], [], [])  # a call that no job makes, or it would be counted
            _work(order)
        os.close(go)
        sys.stdin.readline()
        os.close(going)  # which lets it go
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    import mt.aio.core._hop  # so that nothing is left to be imported
    import mt.aio.h5

    assert mt.aio.core._hop
    assert mt.aio.h5

    for name in JOBS:
        place = os.path.join(sys.argv[1], name)
        write(name, place, "abc")
        assert read(name, place) == "abc"
    print("ready", flush=True)
    _serve()
