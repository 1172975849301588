"""Where mt.aio.fs tells a URL from a path."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mt.aio.fs import (
    make_dirs,
    read_binary,
    read_text,
    rename,
    safe_chmod,
    safe_rename,
    sweep,
    symlink,
    write_binary,
    write_text,
)
from mt.aio.fs.lowlevel import absolute, remote_of


class Named(os.PathLike):
    """A path of another library, which stands for a URL."""

    def __fspath__(self):
        return "memory://named/x"


def test_path_like_of_a_url(mode):
    """An os.PathLike that stands for a URL is one."""
    mode.run(write_binary, Named(), b"1")
    assert mode.run(read_binary, "memory://named/x") == b"1"


@pytest.mark.parametrize("path", ["x", "/a/b", "a:b", "c://x", "./s3://x", "/tmp/s3://x", ""])
def test_local_path(path):
    """What does not begin with a known scheme is a path."""
    assert remote_of(path) is None


def test_unknown_scheme_is_a_folder(mode, tmp_path, monkeypatch):
    """A name with two slashes after a colon goes on being a path of its own."""
    monkeypatch.chdir(tmp_path)
    mode.run(write_text, "odd://x", "1", make_dirs=True)
    assert mode.run(read_text, "odd:/x") == "1"


@pytest.mark.parametrize("scheme", ["s3", "https", "memory"])
def test_url_through_pathlib(mode, scheme):
    """A URL that pathlib has taken a slash from is refused, before a folder is made."""
    with pytest.raises(ValueError, match="pathlib"):
        mode.run(write_binary, Path(f"{scheme}://bucket/x"), b"", make_dirs=True)


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (make_dirs, []),
        (rename, ["x"]),
        (safe_chmod, []),
        (safe_rename, ["x"]),
        (sweep, []),
    ],
)
def test_local_only(mode, func, args):
    """What no store can do as it is promised is refused with the URL."""
    with pytest.raises(OSError, match="local path") as raised:
        mode.run(func, "s3://bucket/x", *args)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOTSUP, "s3://bucket/x")


def test_link_to_a_url(mode, tmp_path):
    """A link's target is any text, but the link itself is local."""
    with pytest.raises(OSError, match="local path"):
        mode.run(symlink, "x", "s3://bucket/x")


def test_refusal_keeps_a_signature_to_itself():
    """The URL in the error is without its password and its query."""
    with pytest.raises(OSError, match="local path") as raised:
        absolute("https://me:hunter2@host/x?signature=hunter3")
    assert raised.value.filename == "https://host/x"


WITHOUT = """
import sys
sys.modules["{absent}"] = None  # as if it were not installed
from mt.aio.core import srun
from mt.aio.fs import read_binary, write_binary
from mt.aio.h5 import CreateFileH5
for act in (
    lambda: srun(read_binary, "s3://b/k?secret"),
    lambda: srun(write_binary, "gs://b/k", b""),
    lambda: CreateFileH5("az://b/k").__enter__(),
):
    try:
        act()
    except ModuleNotFoundError as exc:
        print(exc.name, exc, sep="|")
"""


@pytest.fixture
def run(not_counted):
    """Run a program in a fresh interpreter and give its lines."""

    def run(program):
        command = [sys.executable, "-W", "error", "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )[:-1]

    return run


@pytest.mark.slow
def test_piece_is_not_installed(run):
    """Without mt-aio-remote the error names it, and the command that installs it."""
    assert run(WITHOUT.format(absent="mt.aio.remote")) == [
        f'mt.aio.remote|{scheme}:// needs mt-aio-remote: pip install "mt-aio[remote]"'
        for scheme in ("s3", "gs", "az")
    ]


@pytest.mark.slow
def test_piece_is_broken(run):
    """What an installed mt-aio-remote lacks is not taken for its absence."""
    lines = run(WITHOUT.format(absent="obstore"))
    assert len(lines) == 3
    assert all(line.startswith("obstore") for line in lines)


@pytest.mark.slow
def test_paths_load_nothing(run, tmp_path):
    """Local files never load the piece, nor obstore."""
    path = str(tmp_path / "x")
    program = (
        "import sys; from mt.aio.core import srun; from mt.aio.fs import *\n"
        f"srun(write_binary, {path!r}, b''); srun(read_binary, {path!r}); srun(exists, 'a://b')\n"
        "print([name for name in ('mt.aio.remote', 'obstore') if name in sys.modules])"
    )
    assert run(program) == ["[]"]
