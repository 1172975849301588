"""The parent's side of life: it ends, is killed, forks, handles signals in its own way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import pytest

from mt.aio.proc import _serve, _zygote

LIMIT = 10


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit()",
        "del process",
        "process.close()",
        "cycle = [process]; cycle.append(cycle); del process, cycle",
        "asyncio.run(process.send((len, '')))",
        "asyncio.run(process.send((len, ''))); del process",
        "threading.Thread(target=srun, args=(process.send, (time.sleep, 0.05))).start()",
        "keep = [Caller() for _ in range(5)]",
    ],
    ids=["nothing", "exit", "del", "close", "cycle", "loop", "loop-del", "thread", "starting"],
)
def test_the_program_ends(run_program, end, program):
    """Whatever it forgets, it ends at once, without a word, and leaves no child."""
    out = run_program(
        program(f"""
        print(process.pid)
        {end}
        """)
    )
    assert not os.path.exists(f"/proc/{out.split()[0]}")


def test_the_program_ends_while_the_child_is_busy(run_program, program):
    """A busy child is given a moment, then killed; the exit is bounded."""
    out = run_program(
        program("""
        async def main():
            task = asyncio.ensure_future(process.send((time.sleep, 600)))
            await asyncio.sleep(0)
            task.cancel()
        asyncio.run(main())
        print(process.pid)
        """)
    )
    assert not os.path.exists(f"/proc/{out.strip()}")


def test_the_program_ends_while_a_thread_waits(run_program, program):
    """A daemon thread in a sync send does not keep the program from ending."""
    out = run_program(
        program("""
        def wait():
            try:
                srun(process.send, (time.sleep, 600))
            except RuntimeError:
                pass
        threading.Thread(target=wait, daemon=True).start()
        while not process._link._conversation._waiters:
            time.sleep(0.001)
        print(process.pid)
        """)
    )
    assert not os.path.exists(f"/proc/{out.strip()}")


def test_an_error_ends_theprogram(tmp_path, program):
    """An uncaught exception is shown as usual, and nothing else."""
    import sys

    script = tmp_path / "program.py"
    script.write_text(program("raise LookupError('mine')"))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("LookupError: mine")
    assert done.stderr.count("Traceback") == 1


@pytest.mark.parametrize(
    "work",
    [
        "time.sleep(0.001)",
        "srun(process.send, (time.sleep, 600))",
        "srun(process.send, (busy_in_python,))",
        "srun(process.send, (busy_in_c,))",
        "srun(process.send, (subprocess.call, ['sleep', '30']))",
    ],
    ids=["idle", "sleeping", "in Python", "in C", "waiting"],
)
def test_the_parent_is_killed(live_program, until, gone, work, program):
    """However it is killed and whatever the child is at: the child goes with it.

    The parent is left a zombie for a while: nobody has waited for it.
    """
    parent, (child,) = live_program(
        program(f"""
        import subprocess
        print(process.pid, flush=True)
        {work}
        time.sleep(600)
        """)
    )
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: gone(child), LIMIT)


def test_the_parent_is_killed_while_the_child_starts(live_program, until, gone, program):
    """A child whose set-up takes long."""
    parent, (child,) = live_program(
        program("""
        class Slow(Caller):
            def __reduce__(self):
                return time.sleep, (600,)
        slow = Slow()
        print(slow.pid, flush=True)
        time.sleep(600)
        """)
    )
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: gone(child), LIMIT)


def test_the_parent_is_killed_while_a_fork_of_it_lives(live_program, until, gone, program):
    """A fork holds none of what ties the child to its parent."""
    parent, (child, fork) = live_program(
        program("""
        fork = os.fork()
        if fork == 0:
            time.sleep(600)
            os._exit(0)
        print(process.pid, fork, flush=True)
        time.sleep(600)
        """)
    )
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: gone(child), LIMIT)
    assert not gone(fork)


def test_sigpipe_with_its_default_action(run_program, program):
    """A program that, like many a filter, wants to be killed by SIGPIPE is not so by us."""
    out = run_program(
        program("""
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for _ in range(3):
            os.kill(process.pid, signal.SIGKILL)
            while process.exitcode is None:
                time.sleep(0.001)
            try:
                srun(process.send, (len, b"x" * 1000000))
            except RuntimeError as error:
                print("SIGKILL" in str(error))
            process.restart()
            srun(process.send, (len, ""))
        """)
    )
    assert out.split() == ["True"] * 3


_IGNORING = """
import os, signal
import mt.aio.proc._zygote as zygote
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
{before}
from mt.aio.core import srun
from mt.aio.proc import BgProcess
class Caller(BgProcess):
    def child_handle_message(self, msg):
        func, *args = msg
        return func(*args)
process = Caller()
print(srun(process.send, (signal.getsignal, signal.SIGCHLD)) is signal.SIG_IGN)
for _ in range(2):
    try:
        srun(process.send, (lambda: os._exit(3),), recv_timeout=10)
    except RuntimeError as error:
        print(error.exitcode, "status 3" in str(error), "nobody could tell" in str(error))
    process.restart()
    print(srun(process.send, (len, "abc")))
process.close()
"""


@pytest.mark.skipif(not _zygote.possible(), reason="needs pidfd")
def test_sigchld_ignored(run_program):
    """As daemons do: how a child ended is known all the same, since the nursery asks."""
    out = run_program(_IGNORING.format(before=""))
    assert out.splitlines() == ["True", *["3 True False", "3"] * 2]


def test_sigchld_ignored_and_no_nursery(run_program):
    """Then the system tells nobody how a child ended; the error says so, and claims no 0.

    This broke: the exit status of a child that had failed was reported as 0.
    """
    out = run_program(_IGNORING.format(before="zygote.possible = lambda: False"))
    assert out.splitlines() == ["True", *["None False True", "3"] * 2]


def test_sigchld_ignored_later(run_program, program):
    """When there are children already."""
    out = run_program(
        program("""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for _ in range(2):
            try:
                srun(process.send, (lambda: os.kill(os.getpid(), 9),), recv_timeout=10)
            except RuntimeError as error:
                print(error.exitcode)
            process.restart()
            print(srun(process.send, (len, "abc")))
        process.close()
        """)
    )
    assert out.split() == ["-9", "3"] * 2


def test_an_interrupt_from_the_terminal(live_program, until, program):
    """Ctrl-C reaches both: the parent is interrupted, the child tells of it and lives on."""
    parent, (child,) = live_program(
        program("""
        class Listener(Caller):
            def on_event(self, event):
                print(event[0], flush=True)
        listener = Listener()
        srun(listener.send, (len, ""))
        print(listener.pid, flush=True)
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            pass
        while True:
            if srun(listener.send, (len, "abc")) != 3:
                break
            time.sleep(0.01)
        """)
    )
    os.kill(child, signal.SIGINT)
    os.kill(parent.pid, signal.SIGINT)
    assert parent.stdout.readline() == "ignored_exception\n"
    assert parent.poll() is None


def test_an_interrupted_sync_send(run_program, program):
    """Ctrl-C in a sync send is raised there; the process goes on as before."""
    out = run_program(
        program("""
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            srun(process.send, (time.sleep, 0.3))
        except KeyboardInterrupt:
            print("interrupted")
        print(srun(process.send, (len, "abc")))
        """)
    )
    assert out.split() == ["interrupted", "3"]


def test_importing_has_no_side_effect(run_program):
    """No thread, no process, no signal handler, no asyncio."""
    out = run_program("""
        import os, signal, sys, threading
        before = signal.getsignal(signal.SIGINT), set(os.listdir("/proc/self/fd"))
        import mt.aio.proc
        after = signal.getsignal(signal.SIGINT), set(os.listdir("/proc/self/fd"))
        print(before == after, threading.active_count(), "asyncio" in sys.modules)
    """)
    assert out.split() == ["True", "1", "False"]


def test_a_child_without_a_parent_waits_for_the_nursery(monkeypatch):
    """Else it might be gone before the nursery has looked for its children, to tell them."""
    ours, theirs = socket.socketpair()
    with theirs:
        monkeypatch.setattr(_serve, "DOOMED", 60_000)
        ours.shutdown(socket.SHUT_WR)
        _serve._let_the_nursery_see(theirs.fileno())  # the parent closes, and lives
        ours.close()
        monkeypatch.setattr(_serve, "DOOMED", 50)
        begin = time.monotonic()
        _serve._let_the_nursery_see(theirs.fileno())
        assert time.monotonic() - begin >= 0.049
