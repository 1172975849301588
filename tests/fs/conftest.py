"""What several of the file tests need."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mt.aio.fs import _temporary, json_save, npz_save, write_binary, write_text

RunPython = Callable[..., str]
_PLACE = tempfile.gettempdir()  # asked now, as some tests change it


@pytest.fixture
def run_python() -> RunPython:
    """Run a program in a fresh interpreter and give what it printed."""

    def run(program: str, *args: object) -> str:
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def public_folder():
    """A folder that other users can reach: who starts pytest closes the root of all `tmp_path`s."""
    with tempfile.TemporaryDirectory(dir=_PLACE) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def umask():
    """Set a umask for one test, and give the function that does so."""
    old = os.umask(0o022)
    yield os.umask
    os.umask(old)


@pytest.fixture(
    params=[
        (write_binary, b"content"),
        (write_text, "content"),
        (json_save, {"content": [1, 2.5, None]}),
        (npz_save, {"x": [1.0, 2.0]}),
    ],
    ids=lambda param: param[0].__name__,
)
def writer(request: pytest.FixtureRequest):
    """Give each writer of whole files, with something that it can write."""
    if request.param[0] is npz_save:
        pytest.importorskip("numpy")
    return request.param


@pytest.fixture
def counter(tmp_path):
    """Give a JSON file with a number in it."""
    path = tmp_path / "state.json"
    path.write_text('{"n": 0}')
    return path


@pytest.fixture
def count():
    """Give the function that counts it up, in place."""

    def count(obj):
        obj["n"] += 1

    return count


@pytest.fixture
def left_by():
    """Give a function that leaves what another writer would have left in a folder."""

    def leave(folder, make=lambda path: open(path, "xb").close(), **changes):
        writer = _temporary.this_writer()._replace(**changes)
        path = os.path.join(folder, f".x.{'-'.join(map(str, writer))}-{'0' * 16}.mttmp")
        make(path)
        return path

    return leave
