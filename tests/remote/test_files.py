"""The functions of mt.aio.fs, given URLs: what they do with paths."""

from __future__ import annotations

import asyncio
import errno
import json
import os

import numpy as np
import pytest

from mt.aio.core import srun
from mt.aio.fs import (
    exists,
    json_load,
    json_save,
    npz_load,
    npz_save,
    read_binary,
    read_text,
    remove,
    stat,
    write_binary,
    write_text,
)


def test_bytes_come_back(mode, root):
    """What was written is read, and its length returned."""
    assert mode.run(write_binary, f"{root}/a b%20c#d?e/ü", b"\x00\xff") == 2
    assert mode.run(read_binary, f"{root}/a b%20c#d?e/ü") == b"\x00\xff"


def test_keys_are_taken_as_they_are(root):
    """A percent sign in a key is one, and not decoded."""
    srun(write_binary, f"{root}/a%20b", b"1")
    assert not srun(exists, f"{root}/a b")


@pytest.mark.parametrize("content", [bytearray(b"abcd"), np.arange(4, dtype="u1"), b""])
def test_any_buffer(mode, root, content):
    """Any buffer will do, and none at all."""
    mode.run(write_binary, f"{root}/x", content)
    assert mode.run(read_binary, f"{root}/x") == bytes(content)


def test_what_was_written_is_a_copy(mode, root):
    """What becomes of the caller's buffer afterwards does not reach the object."""
    content = bytearray(b"abcd")
    mode.run(write_binary, f"{root}/x", content)
    content[0] = 0
    assert mode.run(read_binary, f"{root}/x") == b"abcd"


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, b""), (2, b"ab"), (4, b"abcd"), (9, b"abcd"), (2**70, b"abcd"), (-1, b"abcd")],
)
def test_size(mode, root, size, expected):
    """`size` bytes are read, or all if there are fewer or the number is negative."""
    srun(write_binary, f"{root}/x", b"abcd")
    assert mode.run(read_binary, f"{root}/x", size) == expected


def test_size_of_an_empty_object(mode, root):
    """The beginning of nothing is nothing."""
    srun(write_binary, f"{root}/x", b"")
    assert mode.run(read_binary, f"{root}/x", 5) == b""


@pytest.mark.parametrize("size", [None, 0, 5])
def test_missing_object(mode, root, size):
    """A missing object is a FileNotFoundError that has the URL as its filename."""
    with pytest.raises(FileNotFoundError) as raised:
        mode.run(read_binary, f"{root}/none", size)
    assert raised.value.filename == f"{root}/none"
    assert raised.value.errno == errno.ENOENT


def test_text(mode, root):
    """A text keeps its characters; one that is cut by the size is left out."""
    assert mode.run(write_text, f"{root}/x", "aäö") == 5
    assert mode.run(read_text, f"{root}/x") == "aäö"
    assert mode.run(read_text, f"{root}/x", 4) == "aä"
    assert mode.run(read_text, f"{root}/x", 0) == ""
    assert mode.run(write_text, f"{root}/x", "ä", encoding="latin-1") == 1
    assert mode.run(read_text, f"{root}/x", encoding="latin-1") == "ä"


def test_text_that_is_none(mode, root):
    """What is not in the encoding is an error that names the URL."""
    srun(write_binary, f"{root}/x", b"\xff")
    with pytest.raises(UnicodeDecodeError) as raised:
        mode.run(read_text, f"{root}/x")
    assert f"{root}/x" in raised.value.__notes__[0]


def test_json(mode, root):
    """A JSON-like object comes back; what is no JSON is an error that names the URL."""
    mode.run(json_save, f"{root}/x", {"ä": [1, None]}, indent=1)
    assert mode.run(json_load, f"{root}/x") == {"ä": [1, None]}
    mode.run(write_text, f"{root}/x", "{")
    with pytest.raises(json.JSONDecodeError) as raised:
        mode.run(json_load, f"{root}/x")
    assert f"{root}/x" in raised.value.__notes__[0]


def test_object_that_is_no_json(mode, root):
    """An object that cannot be dumped leaves what was there."""
    srun(json_save, f"{root}/x", 1)
    with pytest.raises(TypeError):
        mode.run(json_save, f"{root}/x", {1, 2})
    assert srun(json_load, f"{root}/x") == 1


def test_arrays(mode, root):
    """Arrays come back."""
    mode.run(npz_save, f"{root}/x", {"file": np.arange(3)})
    assert mode.run(npz_load, f"{root}/x")["file"].tolist() == [0, 1, 2]


def test_exclusive(only_the_first, root):
    """The second exclusive write is a FileExistsError and changes nothing."""
    only_the_first(f"{root}/x")


def test_exists(mode, root):
    """An object exists, and so does a folder that has one in it, by its slash."""
    srun(write_binary, f"{root}/x/y", b"")
    found = [mode.run(exists, f"{root}{end}") for end in ("/x/y", "/x", "/x/", "/", "/y/")]
    assert found == [True, False, True, True, False]


def test_stat(mode, root):
    """Size and time are the object's; it is a regular file."""
    srun(write_binary, f"{root}/x", b"abc")
    status = mode.run(stat, f"{root}/x")
    assert status.st_size == 3
    assert abs(status.st_mtime - os.stat(__file__).st_atime) < 10 * 365 * 86400
    assert os.path.stat.S_ISREG(status.st_mode)
    with pytest.raises(FileNotFoundError):
        mode.run(stat, f"{root}/none")


def test_remove(mode, root):
    """A removed object is gone; one that is not there is an error, unless that is allowed."""
    srun(write_binary, f"{root}/x", b"")
    mode.run(remove, f"{root}/x")
    assert not srun(exists, f"{root}/x")
    with pytest.raises(FileNotFoundError) as raised:
        mode.run(remove, f"{root}/x")
    assert raised.value.filename == f"{root}/x"
    mode.run(remove, f"{root}/x", missing_ok=True)


@pytest.mark.parametrize("end", ["", "/"])
def test_remove_tree(mode, root, end):
    """A tree is removed with all that is in it, and nothing beside it."""
    for name in ("x/a", "x/b/c", "xy"):
        srun(write_binary, f"{root}/{name}", b"")
    mode.run(remove, f"{root}/x{end}", tree=True)
    assert [srun(exists, f"{root}/{name}") for name in ("x/", "xy")] == [False, True]
    with pytest.raises(FileNotFoundError):
        mode.run(remove, f"{root}/x{end}", tree=True)
    mode.run(remove, f"{root}/x{end}", tree=True, missing_ok=True)


def test_a_tree_and_the_object_of_its_name(root):
    """What has the very name of the tree is removed with it."""
    srun(write_binary, f"{root}/x", b"")
    srun(write_binary, f"{root}/x/y", b"")
    srun(remove, f"{root}/x", tree=True)
    assert not srun(exists, f"{root}/")


def test_a_bucket_is_not_removed(mode):
    """A URL without a key is refused, whatever is asked for."""
    with pytest.raises(ValueError, match="whole bucket"):
        mode.run(remove, "memory://bucket", tree=True)
    with pytest.raises(IsADirectoryError):
        mode.run(remove, "memory://bucket/")


@pytest.mark.parametrize("url", ["memory://bucket", "memory://bucket/", "memory://bucket/x/"])
@pytest.mark.parametrize("args", [(read_binary,), (write_binary, b""), (stat,)])
def test_folder(mode, url, args):
    """What ends with a slash, or has no key, is a folder."""
    func, *rest = args
    with pytest.raises(IsADirectoryError) as raised:
        mode.run(func, url, *rest)
    assert raised.value.filename == url


@pytest.mark.parametrize("key", ["a//b", "/a", "./a", "a/../b", "a\nb"])
def test_impossible_key(mode, key):
    """A key that no store would keep as it is, is refused rather than changed."""
    with pytest.raises(ValueError, match="no key in"):
        mode.run(write_binary, f"memory://bucket/{key}", b"")


def test_no_bucket(mode):
    """A URL without a bucket is refused."""
    with pytest.raises(ValueError, match="no bucket in"):
        mode.run(read_binary, "s3:///key")


def test_no_such_bucket(mode, server):
    """A bucket that is not there is like a missing folder."""
    from mt.aio import remote

    remote.configure("s3://no-such-bucket", **server.options())
    with pytest.raises(FileNotFoundError, match="NoSuchBucket"):
        mode.run(write_binary, "s3://no-such-bucket/x", b"")
    remote.configure("s3://no-such-bucket")


def test_delayed(async_mode, root):
    """Delayed writes to one URL are published in the order of issue, dropped futures too."""

    async def body(context_vars):
        for number in range(20):
            future = await write_text(
                f"{root}/x", str(number), context_vars=context_vars, file_write_delayed=True
            )
        assert isinstance(future, asyncio.Future)
        assert await future == 2
        assert await read_text(f"{root}/x", context_vars=context_vars) == "19"

    async_mode.run(body)


def test_many_at_once(async_mode, root):
    """More reads and writes than there may be requests under way all succeed."""

    async def body(context_vars):
        urls = [f"{root}/{number}" for number in range(150)]
        await asyncio.gather(*(write_text(url, url, context_vars=context_vars) for url in urls))
        found = await asyncio.gather(*(read_text(url, context_vars=context_vars) for url in urls))
        assert found == urls

    async_mode.run(body)


def test_arguments_are_checked_as_for_paths(mode):
    """What is ignored for a URL is still refused if it is wrong."""
    url = "memory://bucket/x"
    with pytest.raises(TypeError):
        mode.run(write_binary, url, b"", "rw")
    with pytest.raises(ValueError, match="durability"):
        mode.run(write_binary, url, b"", durability="disk")
    with pytest.raises(TypeError):
        mode.run(write_binary, url, "text")
    with pytest.raises(KeyError):
        asyncio.run(read_binary(url))
