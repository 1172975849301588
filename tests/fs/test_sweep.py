"""Removing what killed writers have left behind, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from functools import partial

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import _sweep as implementation
from mt.aio.fs import _temporary, sweep, write_binary
from mt.aio.fs.lowlevel import Replacement, resolve_target

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to know a writer")

LEAVE = """
    import os, sys
    from mt.aio.fs.lowlevel import Replacement, resolve_target
    new = Replacement(resolve_target(sys.argv[1]))
    print(new.tmp_filepath, flush=True)
"""


def start(program, *args):
    """Start a program, and give it with the first line that it prints."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, args)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return child, child.stdout.readline().strip()


def end(child):
    """Let a program end that waits for its input."""
    child.stdin.close()
    child.stdout.close()
    return child.wait()


@pytest.fixture
def left(tmp_path):
    """A temporary file whose writer was killed."""
    child, path = start(LEAVE + "    input()", tmp_path / "file")
    child.kill()
    end(child)
    assert os.path.exists(path)
    yield path
    if os.path.exists(path):
        os.unlink(path)


def test_file_of_a_killed_writer(mode, tmp_path, left):
    """The file of a killed writer is removed and named; nothing else is touched."""
    (tmp_path / "file").touch()
    others = [".file.mttmp", "a.mttmp", f".file.{2**22 - 1}-0123456789abcdef.mttmp"]
    for name in others:
        (tmp_path / name).touch()
    assert mode.run(sweep, tmp_path) == [left]
    assert mode.run(sweep, tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == sorted(["file", *others])
    for name in others:
        (tmp_path / name).unlink()


def test_mode_and_path(mode, tmp_path):
    """Without a mode, with a wrong path or age, nothing is swept."""
    with pytest.raises(MissingModeError):
        sweep(tmp_path).send(None)
    with pytest.raises(TypeError, match="folder is a str"):
        mode.run(sweep, b"x")
    for age in (-1, float("nan")):
        with pytest.raises(ValueError, match="foreign_age"):
            mode.run(sweep, tmp_path, foreign_age=age)
    with pytest.raises(FileNotFoundError):
        mode.run(sweep, tmp_path / "missing")


def test_folders_below(mode, tmp_path, left):
    """Folders below are looked into if asked for, links never."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    moved = str(folder / os.path.basename(left))
    os.rename(left, moved)
    (tmp_path / "link").symlink_to(folder)
    assert mode.run(sweep, tmp_path) == []
    assert mode.run(sweep, tmp_path, recursive=True) == [moved]


def test_own_file(mode, tmp_path):
    """A file that this process is writing stays, open or closed, and so does its folder copy."""
    with Replacement(resolve_target(str(tmp_path / "a"))) as new:
        assert mode.run(sweep, tmp_path) == []
        new.close()
        assert mode.run(sweep, tmp_path, foreign_age=0) == []
        new.publish("none")


def test_living_writer(mode, tmp_path):
    """A file of another process that lives stays, also while it is closed for a library to open."""
    program = LEAVE + "    new.close(); print(flush=True); input(); new.publish('none')"
    child, path = start(program, tmp_path / "file")
    child.stdout.readline()
    assert mode.run(sweep, tmp_path, foreign_age=0) == []
    assert os.path.exists(path)
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.wait() == 0
    end(child)
    assert os.listdir(tmp_path) == ["file"]


def test_stopped_writer(mode, tmp_path):
    """A writer that is stopped, for however long, lives."""
    child, path = start(LEAVE + "    input(); new.discard()", tmp_path / "file")
    child.send_signal(signal.SIGSTOP)
    assert mode.run(sweep, tmp_path) == []
    assert os.path.exists(path)
    child.send_signal(signal.SIGCONT)
    child.communicate("\n")


FORKED = (
    LEAVE
    + """
    if os.fork():
        os._exit(0)  # without a chance to remove anything
    print(os.getpid(), flush=True)
    input()
    new.publish("none")
"""
)


def test_child_that_goes_on(mode, tmp_path):
    """A file that a forked child goes on with stays, although its first writer is gone."""
    child, path = start(FORKED, tmp_path / "file")
    child.stdout.readline()
    assert child.wait() == 0
    assert mode.run(sweep, tmp_path) == []
    assert os.path.exists(path)
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.read() == ""  # until the child has ended
    end(child)
    assert os.listdir(tmp_path) == ["file"]


def test_zombie(mode, tmp_path):
    """A writer that has ended and not been waited for is gone."""
    child, path = start(LEAVE + "    os._exit(0)", tmp_path / "file")
    child.stdout.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert mode.run(sweep, tmp_path) == [path]
    end(child)


def test_process_id_used_again(mode, tmp_path, left_by):
    """A process that has a writer's id, but was started at another time, is not the writer."""
    path = left_by(tmp_path, start="1")
    assert mode.run(sweep, tmp_path) == [path]


@pytest.mark.parametrize("changes", [{"boot": "0123456789", "machine": "1"}, {"space": "1"}])
def test_writer_elsewhere(mode, tmp_path, left_by, changes):
    """The file of a process of another host or container stays, unless it is old enough."""
    path = left_by(tmp_path, pid=2**22 - 1, **changes)
    assert mode.run(sweep, tmp_path) == []
    assert mode.run(sweep, tmp_path, foreign_age=3600) == []
    assert mode.run(sweep, tmp_path, foreign_age=0) == [path]


def test_unknown_writer(mode, tmp_path, left_by):
    """Where the system did not tell who writes, nobody is taken for gone."""
    path = left_by(tmp_path, start="0", space="0", boot="0", machine="0")
    assert mode.run(sweep, tmp_path) == []
    os.unlink(path)


@pytest.mark.skipif(not os.path.exists("/etc/machine-id"), reason="needs a machine with an id")
def test_earlier_boot(mode, tmp_path, left_by, monkeypatch):
    """A writer from before the last boot of this machine is gone; its file must be as old."""
    path = left_by(tmp_path, pid=os.getpid(), boot="0123456789")
    assert mode.run(sweep, tmp_path) == [], "changed after the boot: not by that writer alone"
    booted = os.stat(path).st_ctime + 1
    monkeypatch.setattr(implementation, "_boot_time", lambda: booted)
    monkeypatch.setattr(implementation, "is_local", lambda path: False)
    assert mode.run(sweep, tmp_path) == [], "on a network mount it may be another host's"
    monkeypatch.setattr(implementation, "is_local", lambda path: True)
    assert mode.run(sweep, tmp_path) == [path]


def test_boot_time():
    """The system's start lies in the past."""
    assert 0 < implementation._boot_time() < os.stat("/proc/self").st_ctime


def test_temporary_folder_and_link(mode, tmp_path, left_by):
    """What killed copies of trees and links leave goes as well; what it leads to stays."""
    (tmp_path / "kept").touch()
    folder = left_by(tmp_path, os.mkdir, start="1", pid=1)
    os.mkdir(os.path.join(folder, "sub"))
    os.symlink(tmp_path / "kept", os.path.join(folder, "sub", "link"))
    link = left_by(tmp_path, partial(os.symlink, tmp_path / "kept"), start="2", pid=1)
    assert mode.run(sweep, tmp_path) == sorted([folder, link])
    assert os.listdir(tmp_path) == ["kept"]


def test_link_in_the_place_of_a_file(tmp_path, left):
    """A link that takes a file's place between look and deed is not followed."""
    victim = tmp_path / "victim"
    victim.touch()
    os.unlink(left)
    os.symlink(victim, left)
    with pytest.raises(OSError, match="symbolic links"):
        implementation._remove_unopened(left)
    assert victim.exists()


def test_somebody_is_faster(mode, tmp_path, left, monkeypatch):
    """A file that another sweeper removes first is no error."""
    real = implementation._is_gone

    def is_gone(path, *args):
        gone = real(path, *args)
        os.unlink(path)
        return gone

    monkeypatch.setattr(implementation, "_is_gone", is_gone)
    assert mode.run(sweep, tmp_path) == []


def test_forked_child_has_names_of_its_own(tmp_path):
    """A forked child's temporary files say that it, not its parent, writes them."""
    parent = _temporary.this_writer()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, repr(tuple(_temporary.this_writer())).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        child = file.read()
    os.waitpid(pid, 0)
    assert f"({pid}, " in child
    assert parent.boot in child
    assert repr(parent.start) not in child or parent.pid != pid


def test_sweeping_while_others_write(tmp_path):
    """A sweeper at work all the time takes nothing from writers in this process."""
    stop = threading.Event()
    errors = []

    def work():
        from mt.aio.core import srun

        while not stop.is_set():
            try:
                errors.extend(srun(sweep, tmp_path, foreign_age=0))
            except BaseException as exc:  # noqa: BLE001 - reported below
                errors.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        from mt.aio.core import srun

        for i in range(200):
            srun(write_binary, tmp_path / "file", b"%d" % i, durability="none")
    finally:
        stop.set()
        thread.join()
    assert errors == []
