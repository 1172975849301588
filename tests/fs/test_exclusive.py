"""Writing only what is not there yet."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading

import pytest

from mt.aio.core import srun
from mt.aio.fs import _exclusive, write_binary


def test_new_file(mode, writer, tmp_path):
    """Where nothing is, an exclusive write is like any other."""
    func, content = writer
    mode.run(func, tmp_path / "file", content, exclusive=True, durability="full")
    assert os.listdir(tmp_path) == ["file"]
    status = os.stat(tmp_path / "file")
    assert (status.st_mode & 0o777, status.st_nlink) == (0o664, 1)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "link to nowhere", "FIFO"])
def test_something_is_there(mode, writer, tmp_path, kind):
    """Whatever has the name is a FileExistsError that names it, and stays as it is."""
    func, content = writer
    path = tmp_path / "it"
    make = {
        "file": lambda: path.write_bytes(b"old"),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(tmp_path),
        "link to nowhere": lambda: path.symlink_to("nowhere"),
        "FIFO": lambda: os.mkfifo(path),
    }
    make[kind]()
    before = os.lstat(path)
    with pytest.raises(FileExistsError) as caught:
        mode.run(func, path, content, exclusive=True)
    assert caught.value.filename == str(path)
    assert os.lstat(path).st_ino == before.st_ino
    assert os.listdir(tmp_path) == ["it"]


def _appear(path, monkeypatch):
    """Let a file of the name appear just before the temporary file gets it."""
    real = os.fchmod

    def fchmod(fd, file_mode):
        path.write_bytes(b"theirs")
        real(fd, file_mode)

    monkeypatch.setattr(os, "fchmod", fchmod)


@pytest.mark.parametrize("durability", ["none", "full"])
def test_file_that_appears_at_the_last_moment(mode, tmp_path, monkeypatch, durability):
    """What appears after the first look is found, and not replaced."""
    path = tmp_path / "file"
    _appear(path, monkeypatch)
    with pytest.raises(FileExistsError) as caught:
        mode.run(write_binary, path, b"ours", exclusive=True, durability=durability)
    assert (caught.value.filename, caught.value.filename2) == (str(path), None)
    assert path.read_bytes() == b"theirs"


@pytest.fixture
def no_links(monkeypatch):
    """Let the file system have no hard links, as FAT has none."""

    def link(source, target, **_):
        raise OSError(errno.EPERM, "no links here", source, None, target)

    monkeypatch.setattr(os, "link", link)


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_file_system_without_links(mode, tmp_path, monkeypatch, no_links):
    """Where there are no hard links, Linux renames without replacing."""
    mode.run(write_binary, tmp_path / "new", b"x", exclusive=True)
    assert (tmp_path / "new").read_bytes() == b"x"
    _appear(tmp_path / "file", monkeypatch)
    with pytest.raises(FileExistsError) as caught:
        mode.run(write_binary, tmp_path / "file", b"ours", exclusive=True)
    assert caught.value.filename == str(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"theirs"


def test_other_errors_of_linking(tmp_path):
    """An error that says nothing of links is raised."""
    with pytest.raises(FileNotFoundError):
        _exclusive.move_exclusively(str(tmp_path / "missing"), str(tmp_path / "new"))


def test_one_of_many_tasks_wins(async_mode, tmp_path):
    """Of 20 exclusive writers in one loop exactly one succeeds, and its content is there."""

    async def body(context_vars):
        # Two paths of one file, so that the order of writes does not decide.
        (tmp_path / "b").symlink_to(tmp_path, target_is_directory=True)
        paths = [tmp_path / "file", tmp_path / "b" / "file"] * 10
        results = await asyncio.gather(
            *(
                write_binary(path, b"%d" % i, context_vars=context_vars, exclusive=True)
                for i, path in enumerate(paths)
            ),
            return_exceptions=True,
        )
        won = [i for i, result in enumerate(results) if isinstance(result, int)]
        assert len(won) == 1
        assert sum(isinstance(result, FileExistsError) for result in results) == 19
        assert (tmp_path / "file").read_bytes() == b"%d" % won[0]

    async_mode.run(body)


def test_one_of_many_threads_wins(tmp_path):
    """Of 8 threads in sync mode exactly one succeeds, for each of 30 files."""
    won = []
    together = threading.Barrier(8)

    def write(number):
        for i in range(30):
            together.wait()
            try:
                path = tmp_path / f"{i}"
                srun(write_binary, path, b"%d" % number, exclusive=True, durability="none")
            except FileExistsError:
                continue
            won.append((i, number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(i for i, _ in won) == list(range(30))
    assert all((tmp_path / f"{i}").read_bytes() == b"%d" % number for i, number in won)


WRITE = """
import sys
from mt.aio.core import srun
from mt.aio.fs import write_binary
print(flush=True)
input()
won = []
for i in range(100):
    try:
        srun(write_binary, f"{sys.argv[1]}/{i}", sys.argv[2].encode(), exclusive=True)
    except FileExistsError:
        continue
    won.append(i)
print(*won)
"""


@pytest.mark.slow
def test_one_of_many_processes_wins(tmp_path):
    """Of 4 processes exactly one succeeds, for each of 100 files."""
    command = [sys.executable, "-c", WRITE, str(tmp_path)]
    pipe = subprocess.PIPE
    writers = [
        subprocess.Popen([*command, f"{n}"], stdin=pipe, stdout=pipe, text=True) for n in range(4)
    ]
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    won = [[int(i) for i in writer.communicate()[0].split()] for writer in writers]
    assert sorted(i for files in won for i in files) == list(range(100))
    for number, files in enumerate(won):
        assert all((tmp_path / f"{i}").read_text() == f"{number}" for i in files)


def test_delayed(async_mode, tmp_path):
    """The future of a delayed write tells that something was there."""
    path = tmp_path / "file"

    async def body(context_vars):
        options = {"context_vars": context_vars, "file_write_delayed": True, "exclusive": True}
        futures = [await write_binary(path, b"%d" % i, **options) for i in range(2)]
        assert await futures[0] == 1
        with pytest.raises(FileExistsError):
            await futures[1]

    async_mode.run(body)
    assert path.read_bytes() == b"0"
