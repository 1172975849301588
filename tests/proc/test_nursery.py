"""Where children are forked: what each of them gets, when it is not used, when it dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from mt.aio.core import srun
from mt.aio.proc import _start, _zygote

LIMIT = 10
pytestmark = pytest.mark.skipif(not _zygote.possible(), reason="needs pidfd")


@pytest.fixture
def nursery(start):
    """Return the nursery, which is there by now and fits."""
    srun(start().send, (len, ""))
    return _zygote.current()


def _is_forked(process, nursery):
    return psutil.Process(process.pid).ppid() == nursery.popen.pid


def test_children_are_forked(start, nursery):
    """They are not this process's own; the nursery, which forks them, has one thread."""
    process = start()
    assert _is_forked(process, nursery)
    assert len(psutil.Process(nursery.popen.pid).threads()) == 1


def test_each_child_gets_the_world_as_it_is(start, nursery, monkeypatch, tmp_path):
    """Working folder, sys.path, sys.argv and environment are those of its start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MT_AIO_TEST", "set")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(sys, "argv", ["program", "argument"])
    monkeypatch.setattr(sys, "path", [*sys.path, "/a/place"])

    def look():
        code = "import os; print(os.environ.get('MT_AIO_TEST'), 'HOME' in os.environ)"
        import subprocess

        inherited = subprocess.check_output([sys.executable, "-c", code], text=True)
        return os.getcwd(), sys.argv, sys.path[-1], inherited

    process = start()
    assert _is_forked(process, nursery)
    expected = (str(tmp_path), ["program", "argument"], "/a/place", "set False\n")
    assert srun(process.send, (look,)) == expected


def test_a_folder_that_is_gone(start, nursery, monkeypatch, tmp_path):
    """The child starts all the same."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    process = start()
    assert srun(process.send, (len, "abc")) == 3
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setenv("PYTHONHASHSEED", "5"),
        lambda patch: patch.setattr(sys, "warnoptions", ["ignore"]),
        lambda patch: patch.setattr(os, "getresuid", lambda: (1, 1, 1)),
        lambda patch: patch.setattr(_zygote, "_umask", lambda: b"0077"),
    ],
    ids=["environment", "warnings", "user", "umask"],
)
def test_what_a_fork_could_not_follow(start, nursery, monkeypatch, change):
    """A fresh interpreter is started then, which is this process's own child."""
    change(monkeypatch)
    process = start()
    assert srun(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
    assert psutil.Process(process.pid).ppid() == os.getpid()


def test_where_there_is_no_nursery(start, monkeypatch):
    """As on other systems than Linux: all goes through fresh interpreters."""
    monkeypatch.setattr(_zygote, "possible", lambda: False)
    process = start()
    assert srun(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
    assert psutil.Process(process.pid).ppid() == os.getpid()
    process.restart()
    with pytest.raises(RuntimeError, match="status 3"):
        srun(process.send, (os._exit, 3), recv_timeout=LIMIT)


def test_the_nursery_is_killed(mode, start, nursery, until, gone):
    """Its children live on; of their deaths one hears, though not how; a new one takes over."""
    process = start()
    mode.run(process.send, (len, ""))
    os.kill(nursery.popen.pid, signal.SIGKILL)
    until(lambda: gone(nursery.popen.pid))
    assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
    with pytest.raises(RuntimeError, match="is gone") as caught:
        mode.run(process.send, (os._exit, 3), recv_timeout=LIMIT)
    assert caught.value.exitcode is None
    process.restart()
    assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3
    assert _is_forked(process, _zygote.current())


def test_the_nursery_is_killed_before_it_knows_its_child(mode, start, monkeypatch, until, gone):
    """The child has told its process id itself, and lives on."""
    program = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from mt.aio.proc import _child, _nursery
_nursery._Nursery._add = lambda *_: os.kill(os.getpid(), {signal.SIGKILL:d})
_child.main()
"""
    _zygote.close()
    monkeypatch.setattr(_start, "_program", lambda: ["-c", program])
    process = start()
    monkeypatch.undo()
    nursery = _zygote.current().popen.pid
    until(lambda: gone(nursery))
    assert mode.run(process.send, (os.getpid,), recv_timeout=LIMIT) == process.pid
    with pytest.raises(RuntimeError, match="is gone") as caught:
        mode.run(process.send, (os._exit, 3), recv_timeout=LIMIT)
    assert caught.value.exitcode is None


def test_the_end_of_a_child_that_had_no_time_to_tell_its_process_id():
    """The nursery tells it with the exit status."""
    from mt.aio.proc import _handle

    report, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    report.setblocking(False)
    with theirs:
        process = _handle.Forked(report, None)
        numbers = 7, -signal.SIGKILL
        theirs.send(b"".join(n.to_bytes(8, "little", signed=True) for n in numbers))
        assert process.ended()
        assert (process.pid, process.returncode) == numbers
        process.close()


def test_a_nursery_that_does_not_come_up(start, nursery, monkeypatch):
    """Who waits is told, and the next child is started by another."""
    _zygote.close()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    process = start()
    with pytest.raises(RuntimeError, match="exited with status 1"):
        srun(process.send, (len, ""), recv_timeout=LIMIT)
    monkeypatch.undo()
    process.restart()
    assert srun(process.send, (len, "abc"), recv_timeout=LIMIT) == 3


def test_the_nursery_is_killed_before_it_takes_a_request(mode, start, nursery):
    """The error says of which process it tells; the next child comes from another nursery."""
    _zygote.close()
    mode.run(start().send, (len, ""))
    pid = _zygote.current().popen.pid  # it has served one: there is no spare
    os.kill(pid, signal.SIGSTOP)
    process = start()
    os.kill(pid, signal.SIGKILL)
    text = rf"\(no child process\) did not come up: the process {pid} was to fork it and was killed"
    with pytest.raises(RuntimeError, match=f"{text} by SIGKILL") as caught:
        mode.run(process.send, (len, ""), recv_timeout=LIMIT)
    assert (process.pid, process.exitcode) == (-1, -signal.SIGKILL)
    assert caught.value.exitcode == -signal.SIGKILL
    process.restart()
    assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3


def test_a_nursery_that_cannot_fork(mode, start, nursery, monkeypatch):
    """It lives, but there is no child: the error says so."""
    program = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from mt.aio.proc import _child
def fork():
    raise BlockingIOError("too many processes")
os.fork = fork
_child.main()
"""
    _zygote.close()
    monkeypatch.setattr(_start, "_program", lambda: ["-c", program])
    process = start()
    with pytest.raises(RuntimeError, match=r"process \d+ could not fork it") as caught:
        mode.run(process.send, (len, ""), recv_timeout=LIMIT)
    assert caught.value.exitcode is None
    _zygote.close()


def test_a_stopped_nursery(start, nursery, monkeypatch):
    """A child that does not come up can be closed; the end is bounded."""
    from mt.aio.proc import _handle

    _zygote.close()
    srun(start().send, (len, ""))  # the only one: there will be no spare
    monkeypatch.setattr(_handle, "BOOT", 0.1)
    os.kill(_zygote.current().popen.pid, signal.SIGSTOP)
    process = start()
    process.close(0)
    assert process._link.ended


def test_signals_in_a_forked_child(start, nursery):
    """Nothing is blocked or ignored that would not be in a fresh interpreter."""
    look = """
import signal
import subprocess
ignored = {n for n in range(1, 32) if signal.getsignal(n) is signal.SIG_IGN} - {signal.SIGINT}
seen = ignored, signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""
    program = [sys.executable, "-c", f"{look}\nprint(repr(seen))"]
    fresh = subprocess.run(program, capture_output=True, text=True, check=True)

    def forked():
        names = {}
        exec(look, names)
        return repr(names["seen"]) + "\n"

    process = start()
    assert _is_forked(process, nursery)
    assert srun(process.send, (forked,)) == fresh.stdout


def test_the_childs_children_are_told(live_program, until, gone):
    """When the parent is killed, the children of the child get SIGTERM."""
    parent, (child, grandchild) = live_program("""
        import subprocess, time
        from mt.aio.core import srun
        from mt.aio.proc import BgProcess
        class Starter(BgProcess):
            def child_handle_message(self, msg):
                self.popen = subprocess.Popen(["sleep", "600"])
                return self.popen.pid
        starter = Starter()
        print(starter.pid, srun(starter.send, None), flush=True)
        time.sleep(600)
    """)
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: gone(child))
    until(lambda: gone(grandchild))


def test_the_nursery_goes_with_the_program(run_program, until):
    """Nothing is left of it."""
    out = run_program("""
        from mt.aio.core import srun
        from mt.aio.proc import BgProcess, _zygote
        with BgProcess() as process:
            srun(process.send, 1)
        print(_zygote.current().popen.pid)
    """)
    assert not psutil.pid_exists(int(out))


def test_two_threads_ask_for_the_process_id(monkeypatch):
    """Who waited for the other's lock looks again (it waited for a second report, in vain)."""
    from mt.aio.proc import _handle
    from mt.aio.proc._passing import send

    monkeypatch.setattr(_handle, "BOOT", 20)
    report, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    report.setblocking(False)
    with theirs:
        process = _handle.Forked(report, None)
        descriptor = os.open(os.devnull, os.O_RDONLY)
        send(theirs, os.getpid().to_bytes(8, "little", signed=True), [descriptor])
        os.close(descriptor)
        process.ended()  # the event loop was first
        begin = time.monotonic()
        assert process._wait_for_pid()
        assert time.monotonic() - begin < 10
        process.close()
