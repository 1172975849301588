"""What the names of temporary files tell, where the system tells little."""

from __future__ import annotations

import os
import sys

import pytest

from mt.aio.core import srun
from mt.aio.fs import _sweep, _temporary, sweep
from mt.aio.fs._temporary import temporary_name, writer_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def forgotten(monkeypatch):
    """Have this process look anew who it is, now and after the test."""
    monkeypatch.setattr(_temporary, "_this", None)
    monkeypatch.setattr(_temporary, "_label", None)


def test_a_name_tells_its_writer(tmp_path):
    """Who reads a name finds this process, and where it runs."""
    writer = writer_of(os.path.basename(temporary_name(str(tmp_path / "file"))))
    assert writer == _temporary.this_writer()
    assert writer.pid == os.getpid()
    assert "0" not in writer[1:4]


def _no_namespaces(monkeypatch):
    real = os.stat

    def stat(path, *args, **kwargs):
        if str(path).startswith("/proc/self/ns/"):
            raise PermissionError(13, "hidden", path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", stat)


def _no_start(monkeypatch):
    monkeypatch.setattr(_temporary, "start_of", lambda pid: None)


def _no_boot(monkeypatch):
    monkeypatch.setattr(_temporary, "_content", lambda path: "")


@pytest.mark.parametrize("hide", [_no_namespaces, _no_start, _no_boot])
def test_a_system_that_does_not_tell(tmp_path, monkeypatch, forgotten, hide):
    """Where a part cannot be read, the name says the process id alone, and is never swept."""
    with monkeypatch.context() as patch:
        hide(patch)
        name = temporary_name(str(tmp_path / "file"))
    writer = writer_of(os.path.basename(name))
    assert writer == (os.getpid(), "0", "0", "0", "0")
    open(name, "xb").close()
    assert srun(sweep, tmp_path) == []
    os.unlink(name)


def test_a_machine_without_an_id(monkeypatch, forgotten):
    """The machine may have no id; the rest is known all the same."""
    real = _temporary._content
    monkeypatch.setattr(
        _temporary, "_content", lambda path: "" if path == "/etc/machine-id" else real(path)
    )
    writer = _temporary.this_writer()
    assert writer.machine == "0"
    assert writer.boot != "0"


def test_what_cannot_be_read_is_empty(tmp_path):
    """A file of the system's that is not there says nothing."""
    assert _temporary._content(str(tmp_path / "missing")) == ""


def test_a_process_that_is_not_there():
    """No start is known of a process id that nobody has."""
    assert _temporary.start_of(2**22 + 1) is None
    start, ended = _temporary.start_of("self")
    assert (start, ended) == (_temporary.this_writer().start, False)


def test_a_process_that_cannot_be_seen_lives(monkeypatch):
    """Where /proc hides a living process, it is not taken for gone."""
    writer = _temporary.this_writer()._replace(start="1")
    assert not _sweep._lives(writer)
    monkeypatch.setattr(_sweep, "start_of", lambda pid: None)
    assert _sweep._lives(writer)


@pytest.mark.parametrize("error", [PermissionError, OverflowError])
def test_another_user_s_process_is_looked_up(monkeypatch, error):
    """That no signal may be sent proves nothing: the start decides."""

    def kill(pid, number):
        raise error

    monkeypatch.setattr(os, "kill", kill)
    writer = _temporary.this_writer()
    assert _sweep._lives(writer)
    assert not _sweep._lives(writer._replace(start="1"))


def test_a_system_that_hides_its_start(monkeypatch):
    """Then nothing is older than the last boot, so that nothing is swept for its age."""

    def refuse(*_, **__):
        raise PermissionError(13, "hidden")

    monkeypatch.setattr(_sweep, "open", refuse, raising=False)
    assert _sweep._boot_time() == 0


def test_a_foreign_file_that_vanishes(tmp_path):
    """A file that its writer gives its name meanwhile is none that is left."""
    writer = _temporary.this_writer()._replace(space="1")
    assert not _sweep._is_gone(str(tmp_path / "gone.mttmp"), writer, 0)


def test_a_folder_that_vanishes(tmp_path, monkeypatch):
    """A folder below that somebody removes meanwhile is no error."""
    (tmp_path / "sub").mkdir()
    real = os.scandir

    def scandir(path):
        if path == str(tmp_path / "sub"):
            os.rmdir(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert srun(sweep, tmp_path, recursive=True) == []
