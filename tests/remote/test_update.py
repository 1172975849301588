"""Changing JSON objects in stores as one step."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from mt.aio import remote
from mt.aio.core import srun
from mt.aio.fs import exists, json_load, json_save, json_update, read_binary, remove, write_binary
from mt.aio.remote import lowlevel


def test_update(mode, root):
    """The object is changed in place or by what is returned, which comes back."""
    url = f"{root}/x"
    srun(json_save, url, {"runs": 0})
    assert mode.run(json_update, url, lambda old: {**old, "a": 1}) == {"runs": 0, "a": 1}
    assert mode.run(json_update, url, lambda old: old.update(runs=1)) == {"runs": 1, "a": 1}
    assert srun(json_load, url) == {"runs": 1, "a": 1}


def test_default(mode, root):
    """A missing object is made from the default, or is an error that names it."""
    with pytest.raises(FileNotFoundError) as raised:
        mode.run(json_update, f"{root}/x", list)
    assert raised.value.filename == f"{root}/x"
    assert mode.run(json_update, f"{root}/x", lambda old: old.append(1), default=[]) == [1]
    assert srun(json_load, f"{root}/x") == [1]


def test_nothing_is_lost(async_mode, root):
    """Updates by tasks and, without any loop, by threads all count."""

    def add(old):
        return old + 1

    async def body(context_vars):
        update = {"default": 0, "timeout": None}
        tasks = [
            json_update(f"{root}/x", add, context_vars=context_vars, **update) for _ in range(8)
        ]
        threads = [
            asyncio.to_thread(srun, json_update, f"{root}/x", add, **update) for _ in range(2)
        ]
        await asyncio.gather(*tasks, *threads)

    async_mode.run(body)
    assert srun(json_load, f"{root}/x") == 10


@pytest.mark.parametrize("meddle", ["write", "remove", "create"])
def test_tried_again(mode, root, meddle):
    """Whoever writes or removes the object in between is not overwritten: it is done anew."""
    url, calls = f"{root}/x", []
    if meddle != "create":
        srun(json_save, url, 1)

    def change(old):
        calls.append(old)
        if len(calls) == 1:
            if meddle == "remove":
                srun(remove, url)
            else:
                srun(json_save, url, 5)
        return old + 10

    assert mode.run(json_update, url, change, default=0) == (10 if meddle == "remove" else 15)
    assert calls == {"write": [1, 5], "remove": [1, 0], "create": [0, 5]}[meddle]


def test_no_end_of_others(mode, root):
    """If others always come in between, it is a TimeoutError, and theirs stays."""
    url, calls = f"{root}/x", []

    def change(old):
        calls.append(old)
        srun(json_save, url, len(calls))
        return "mine"

    with pytest.raises(TimeoutError, match="came in between"):
        mode.run(json_update, url, change, default=0, timeout=0)
    assert len(calls) == 1
    assert srun(json_load, url) == 1


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_no_json(mode, root, content):
    """What is no JSON stays as it is; so it does when the function raises."""
    srun(write_binary, f"{root}/x", content)
    with pytest.raises(ValueError, match=r".") as raised:
        mode.run(json_update, f"{root}/x", lambda old: old)
    assert any(f"{root}/x" in note for note in raised.value.__notes__)
    assert srun(read_binary, f"{root}/x") == content


def test_function_raises(mode, root):
    """If the function raises, nothing has been changed."""
    with pytest.raises(ZeroDivisionError):
        mode.run(json_update, f"{root}/x", lambda _: 1 / 0, default=1)
    assert not srun(exists, f"{root}/x")


def test_read_only(mode, http):
    """An object of a web server cannot be updated, and the function is not called."""
    with pytest.raises(OSError, match="read only"):
        mode.run(json_update, http("x", b"1"), pytest.fail)


def test_store_without_versions(root):
    """Where a store tells no version, nothing is written on the condition of one."""
    with pytest.raises(OSError, match="no versions"):
        lowlevel.replace(f"{root}/x", b"", {})
    assert not srun(exists, f"{root}/x")


PROGRAM = """
import sys
from mt.aio import remote
from mt.aio.core import srun
from mt.aio.fs import json_update
url, address = sys.argv[1:]
remote.configure("s3://bucket", endpoint=address, access_key_id="a", secret_access_key="b",
                 region="us-east-1", client_options={"allow_http": True})
for _ in range(10):
    srun(json_update, url, lambda old: old + 1, default=0, timeout=None)
"""


@pytest.mark.slow
def test_processes(server, s3, not_counted):
    """No update of another process is lost."""
    command = [sys.executable, "-c", PROGRAM, f"{s3}/x", server.address]
    children = [subprocess.Popen(command) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    assert srun(json_load, f"{s3}/x") == 20
    remote.close()
