"""Files of an HTTP server, which are there to be read."""

from __future__ import annotations

import errno
import traceback

import pytest

from mt.aio.fs import (
    exists,
    json_load,
    npz_load,
    read_binary,
    read_text,
    remove,
    stat,
    write_binary,
)


@pytest.mark.parametrize("end", ["", "?v=1", "#part"])
def test_read(mode, http, end):
    """A file is read, also by a URL with a query, which belongs to it, or a fragment."""
    url = http("a b.txt", b"hello") + end
    assert mode.run(read_text, url) == "hello"
    assert mode.run(stat, url).st_size == 5
    assert mode.run(exists, url)


def test_page(mode, http):
    """A URL that ends with a slash is a page like any other."""
    url = http("index.html", b"welcome").removesuffix("index.html")
    assert mode.run(read_text, url) == "welcome"
    assert mode.run(exists, url)


def test_size(mode, http):
    """The beginning is read also from a server that gives all or nothing, as this one."""
    url = http("a.txt", b"hello")
    assert mode.run(read_binary, url, 2) == b"he"
    assert mode.run(read_binary, url, 0) == b""


@pytest.mark.parametrize("func", [read_text, json_load, npz_load])
def test_signature_is_not_noted(mode, http, func):
    """What is told of a content that is wrong leaves the query of the URL out."""
    url = http("a.txt", b"\xff")
    with pytest.raises(ValueError, match=r".") as raised:
        mode.run(func, f"{url}?signature=hunter3")
    told = "".join(traceback.format_exception_only(raised.value))
    assert "hunter3" not in told


def test_missing(mode, http):
    """What the server does not have is missing."""
    url = http("a.txt", b"") + ".none"
    with pytest.raises(FileNotFoundError) as raised:
        mode.run(read_binary, url)
    assert raised.value.filename == url
    assert not mode.run(exists, url)


@pytest.mark.parametrize(("func", "args"), [(write_binary, [b""]), (remove, [])])
def test_read_only(mode, http, func, args):
    """Nothing is written or removed: the server would not promise to do it whole."""
    url = http("a.txt", b"old")
    with pytest.raises(OSError, match="read only") as raised:
        mode.run(func, f"{url}?signature=x", *args)
    assert (raised.value.errno, raised.value.filename) == (errno.EROFS, url)
    assert mode.run(read_binary, url) == b"old"
