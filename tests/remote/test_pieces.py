"""Objects that are read many at a time or piece by piece, and folders that are gone through."""

from __future__ import annotations

import asyncio
import errno
import threading
from contextlib import aclosing

import pytest

from mt.aio.core import srun
from mt.aio.fs import open_file, read_many, remove, walk, write_binary, write_text


async def _listed(found):
    return [each async for each in found]


async def _read_many(paths, size=None, *, context_vars):
    return await _listed(read_many(paths, size, context_vars=context_vars))


async def _walk(folder, context_vars, **options):
    return await _listed(walk(folder, context_vars=context_vars, **options))


def test_read_many(mode, root, tmp_path):
    """Objects and files come in the order of their names, whichever they are."""
    (tmp_path / "x").write_bytes(b"local")
    for number in range(20):
        srun(write_binary, f"{root}/{number}", b"%d." % number)
    names = [f"{root}/{number}" for number in range(20)]
    mixed = [*names[:18], tmp_path / "x", tmp_path / "x", *names[18:], tmp_path / "x"]
    numbers = [b"%d." % number for number in range(20)]
    local = [b"local"]
    expected = [*numbers[:18], *local, *local, *numbers[18:], *local]
    assert mode.run(_read_many, iter(mixed)) == expected
    assert mode.run(_read_many, mixed, 1) == [content[:1] for content in expected]


def test_read_many_missing(mode, root):
    """A missing object is raised when its turn comes."""
    srun(write_binary, f"{root}/x", b"1")
    found = []

    async def body(context_vars):
        paths = [f"{root}/x", f"{root}/x", f"{root}/none", f"{root}/x"]
        async for content in read_many(paths, context_vars=context_vars):
            found.append(content)  # noqa: PERF401 - an error ends it

    with pytest.raises(FileNotFoundError) as raised:
        mode.run(body)
    assert (found, raised.value.filename) == ([b"1", b"1"], f"{root}/none")


def test_read_many_waits_for_its_consumer(mode, root):
    """Not more names are taken than may be under way, however many there are."""
    srun(write_binary, f"{root}/x", b"1")
    taken = []

    def names():
        while True:
            taken.append(None)
            yield f"{root}/x"

    async def body(context_vars):
        async with aclosing(read_many(names(), context_vars=context_vars)) as found:
            async for _ in found:
                await asyncio.sleep(0) if mode.is_async else None
                if len(taken) > 1:
                    break
        assert len(taken) <= 17

    mode.run(body)


def test_walk(mode, root):
    """Folders and objects are found from the top, in order, also by a URL with a slash."""
    for name in ("x", "b/y", "b/c/z", "a/w", "a"):
        srun(write_binary, f"{root}/{name}", b"")
    rest = [
        (f"{root}/a", [], ["w"]),
        (f"{root}/b", ["c"], ["y"]),
        (f"{root}/b/c", [], ["z"]),
    ]
    assert mode.run(_walk, root) == [(root, ["a", "b"], ["a", "x"]), *rest]
    assert mode.run(_walk, f"{root}/") == [(f"{root}/", ["a", "b"], ["a", "x"]), *rest]


def test_walk_enters_where_it_is_told(mode, root):
    """The function that says where to go is called off the event loop, with the URL."""
    for name in ("a/x", "b/x"):
        srun(write_binary, f"{root}/{name}", b"")
    seen = []

    def enter(url):
        seen.append((url, threading.current_thread() is threading.main_thread()))
        return url.endswith("b")

    found = mode.run(_walk, root, enter=enter)
    assert [each[0] for each in found] == [root, f"{root}/b"]
    here = not mode.is_async
    assert seen == [(f"{root}/a", here), (f"{root}/b", here)]


def test_walk_goes_on_when_a_folder_is_gone(mode, root):
    """A folder that is removed meanwhile is passed over."""
    for name in ("a/x", "b/x"):
        srun(write_binary, f"{root}/{name}", b"")

    async def body(context_vars):
        found = []
        async for each in walk(root, context_vars=context_vars):
            found.append(each[0])
            srun(remove, f"{root}/a/x", missing_ok=True)
        return found

    assert mode.run(body) == [root, f"{root}/b"]


@pytest.mark.parametrize(
    ("name", "kind"), [("none", FileNotFoundError), ("x", NotADirectoryError), ("x/", OSError)]
)
def test_walk_of_no_folder(mode, root, name, kind):
    """Where there is nothing to go through, it says so."""
    srun(write_binary, f"{root}/x", b"")
    with pytest.raises(kind):
        mode.run(_walk, f"{root}/{name}")


def test_walk_elsewhere(mode, http, server):
    """A bucket that is not there is missing; a web server lists nothing."""
    from mt.aio import remote

    remote.configure("s3://no-such-bucket", **server.options())
    with pytest.raises(FileNotFoundError):
        mode.run(_walk, "s3://no-such-bucket")
    remote.configure("s3://no-such-bucket")
    with pytest.raises(OSError, match="does not list") as raised:
        mode.run(_walk, http("x", b""))
    assert raised.value.errno == errno.ENOTSUP


def test_open_text(mode, root):
    """A text is read line by line, also again."""
    srun(write_text, f"{root}/x", "aäö\r\nb\n")

    async def body(context_vars):
        async with open_file(f"{root}/x", context_vars=context_vars) as file:
            assert await _listed(file) == ["aäö\n", "b\n"]
            await file.seek(0)
            assert await file.read() == "aäö\nb\n"
            assert file.name == f"{root}/x"

    mode.run(body)
    if not mode.is_async:
        with open_file.sync(f"{root}/x", newline="") as file:
            assert file.read() == "aäö\r\nb\n"


@pytest.mark.parametrize("buffering", [-1, 3])
def test_open_bytes(mode, root, buffering):
    """Bytes are read at any position."""
    srun(write_binary, f"{root}/x", bytes(range(100)))

    async def body(context_vars):
        options = {"buffering": buffering, "context_vars": context_vars}
        async with open_file(f"{root}/x", "rb", **options) as file:
            assert await file.read(4) == b"\0\1\2\3"
            assert await file.seek(-2, 2) == 98
            assert await file.read(9) == bytes([98, 99])
            assert await file.read(9) == b""
            await file.seek(200)
            assert await file.read() == b""
            await file.seek(10)
            await file.seek(-1, 1)
            assert await file.read() == bytes(range(9, 100))
            with pytest.raises(OSError, match="beginning"):
                await file.seek(-200, 2)

    mode.run(body)


@pytest.mark.parametrize("act", [write_binary, remove])
def test_replaced_while_it_is_read(mode, root, act):
    """What is read is of one version, or there is an error."""
    url = f"{root}/x"
    srun(write_binary, url, b"old")

    async def body(context_vars):
        async with open_file(url, "rb", buffering=2, context_vars=context_vars) as file:
            assert await file.read(2) == b"ol"
            srun(act, url, *([b"new"] if act is write_binary else []))
            await file.read()

    with pytest.raises(OSError, match="replaced or removed") as raised:
        mode.run(body)
    assert (raised.value.errno, raised.value.filename) == (errno.ESTALE, url)


def test_open_from_a_web_server(mode, http):
    """A server that knows neither ranges nor versions is read whole."""
    url = http("x.txt", b"a\nb\n")

    async def body(context_vars):
        async with open_file(url, "rb", context_vars=context_vars) as file:
            await file.seek(2)
            return await file.read()

    assert mode.run(body) == b"b\n"


def test_open_missing(mode, root):
    """A missing object is missing when the context is entered."""

    async def body(context_vars):
        opened = open_file(f"{root}/none", context_vars=context_vars)
        async with opened:
            pass

    with pytest.raises(FileNotFoundError) as raised:
        mode.run(body)
    assert raised.value.filename == f"{root}/none"


@pytest.mark.parametrize("how", ["w", "xb", "a", "r+", "rb+"])
def test_open_to_write(mode, how):
    """An object is not written piece by piece."""
    with pytest.raises(OSError, match="whole") as raised:
        open_file("memory://b/x", how, context_vars=mode.context_vars)
    assert raised.value.errno == errno.ENOTSUP


@pytest.mark.parametrize(("how", "encoding"), [("q", None), ("", None), ("rb", "utf-8")])
def test_open_wrongly(mode, how, encoding):
    """A wrong mode is what it is for a file."""

    async def body(context_vars):
        url = "memory://b/x"
        async with open_file(url, how, encoding=encoding, context_vars=context_vars):
            pass

    with pytest.raises(ValueError, match="mode"):
        mode.run(body)
