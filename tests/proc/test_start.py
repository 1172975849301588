"""How a child comes to be: from which programs, with which settings, when it is refused."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcess

LIMIT = 10


def test_a_script_without_a_main_guard(run_program):
    """The class of a plain script will do; the script is not run again in the child."""
    out = run_program("""
        from mt.aio.core import srun
        from mt.aio.proc import BgProcess
        print("once")
        OFFSET = 5
        def helper(x):
            return x + OFFSET
        class Adder(BgProcess):
            def child_handle_message(self, msg):
                print("in the child")
                return helper(msg)
        with Adder() as adder:
            print(srun(adder.send, 3))
    """)
    assert out.splitlines() == ["once", "BgProcess (stdout): in the child", "8"]


def test_a_program_on_the_command_line(tmp_path):
    """`python -c` has no file at all."""
    import subprocess

    program = (
        "import asyncio\n"
        "from mt.aio.proc import BgProcess\n"
        "class Doubler(BgProcess):\n"
        "    def child_handle_message(self, msg): return 2 * msg\n"
        "async def main():\n"
        "    async with Doubler() as doubler: print(await doubler.send(21))\n"
        "asyncio.run(main(), debug=False)\n"  # debug mode says which steps took long
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_a_module_beside_the_script(run_program, tmp_path):
    """The child imports what the parent can import, from a folder of the parent's sys.path."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "workers_of_mine.py").write_text(
        "import sys\n"
        "from mt.aio.proc import BgProcess\n"
        "class Worker(BgProcess):\n"
        "    def child_handle_message(self, msg): return sys.argv[1:], __name__\n"
    )
    out = run_program("""
        import sys
        sys.path.insert(0, "folder")
        sys.argv.append("argument")
        from workers_of_mine import Worker
        from mt.aio.core import srun
        with Worker() as worker:
            print(srun(worker.send, None))
    """)
    assert out == "(['argument'], 'workers_of_mine')\n"


def test_a_run_as_a_module(tmp_path):
    """`python -m package.module`."""
    import subprocess

    package = tmp_path / "package_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tool.py").write_text(
        "from mt.aio.core import srun\n"
        "from mt.aio.proc import BgProcess\n"
        "class Echo(BgProcess):\n"
        "    pass\n"
        "with Echo() as echo: print(srun(echo.send, 'hello'))\n"
    )
    command = [sys.executable, "-W", "error", "-m", "package_of_mine.tool"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize(
    "options", [["-O"], ["-I"], ["-W", "error"], ["-X", "utf8"], ["-E", "-s"], ["-B"]]
)
def test_interpreter_options(run_program, options):
    """Those that change what a program means hold in the child, too."""
    out = run_program(
        """
        import sys
        from mt.aio.core import srun
        from mt.aio.proc import BgProcess
        class Flags(BgProcess):
            def child_handle_message(self, msg):
                flags = sys.flags.optimize, sys.flags.isolated, sys.flags.utf8_mode
                return flags, sys.dont_write_bytecode, sys.warnoptions
        with Flags() as flags:
            print(srun(flags.send, None) == flags.child_handle_message(None))
        """,
        *options,
    )
    assert out == "True\n"


def test_odd_entries_in_sys_path(start, monkeypatch, tmp_path):
    """A Path, a str of a class of its own: Python takes them, so they must not matter here."""

    class MyStr(str):
        __slots__ = ()

    monkeypatch.setattr(sys, "path", [tmp_path, MyStr(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "argv", [tmp_path, *sys.argv])
    assert srun(start().send, (len, "abc")) == 3


def test_the_instance_as_it_was_before_the_constructor(start):
    """The child has what was set before BgProcess.__init__, and not what came later."""

    class Early(BgProcess):
        def __init__(self):
            self.early = 1
            super().__init__()
            self.late = 2

        def child_handle_message(self, msg):
            return hasattr(self, "early"), hasattr(self, "late")

    assert srun(start(Early).send, None) == (True, False)


def test_restart_takes_the_instance_as_it_is(start):
    """The new child has what has been set in the meantime."""

    class Remembers(BgProcess):
        value = 1

        def child_handle_message(self, msg):
            return self.value

    process = start(Remembers)
    process.value = 2
    assert srun(process.send, None) == 1
    old = process.pid
    process.restart()
    assert process.pid != old
    assert srun(process.send, None) == 2


def test_an_interrupt_while_starting(mode, start, until):
    """Ctrl-C reaches the child at whatever moment of its start: it lives, and tells of it."""
    for _ in range(3):
        process = start()
        os.kill(process.pid, signal.SIGINT)
        assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3

        def told(process=process):
            mode.run(process.send, (len, ""))
            return process.events

        assert until(told)[0][0] == "ignored_exception"
        process.close()


def test_the_child_can_be_interrupted_later(start, run_program):
    """The child's own children get a signal mask and handlers as any program has them."""

    def mask():
        import subprocess

        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return blocked, done.stdout

    assert srun(start().send, (mask,)) == (set(), b"True\n")


def test_no_interpreter_to_start(monkeypatch):
    """An embedded Python that does not know its interpreter says what to set."""
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(RuntimeError, match=r"sys\.executable"):
        BgProcess()


def test_a_frozen_program(monkeypatch):
    """It is its own interpreter, and would start itself again and again: that is refused."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(RuntimeError, match="frozen"):
        BgProcess()


def test_windows_is_refused(monkeypatch):
    """Clearly, before anything is tried."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(NotImplementedError, match="POSIX"):
        BgProcess()


def test_an_interpreter_that_is_not_there(monkeypatch):
    """The system's error passes, and nothing is left behind."""
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    with pytest.raises(FileNotFoundError):
        BgProcess()


def test_an_interpreter_that_is_something_else(start, monkeypatch):
    """A program that ends at once: the send says so."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    process = start()
    with pytest.raises(RuntimeError, match="exited with status 1"):
        srun(process.send, (len, ""), recv_timeout=LIMIT)


@pytest.mark.slow
def test_too_many_open_files(run_program):
    """Wherever in the start descriptors run out: OSError, no descriptor and no child left."""
    out = run_program("""
        import gc, os, psutil, resource
        from mt.aio.core import srun
        from mt.aio.proc import BgProcess

        def opened():
            return sorted(map(int, os.listdir("/proc/self/fd")))[:-1]

        os.closerange(3, 256)
        with BgProcess() as process:  # everything is imported now
            srun(process.send, 1)
        del process
        before = opened()
        (nursery,) = [child.pid for child in psutil.Process().children(recursive=True)]
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        refused = started = 0
        for limit in range(3, 30):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            process = None
            try:
                process = BgProcess()
            except OSError:
                refused += 1
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
            if process is not None:
                srun(process.send, 1)
                process.close()
                started += 1
            process = None
            gc.collect()
            assert opened() == before, (limit, opened())
            left = psutil.Process().children(recursive=True)
            assert [child.pid for child in left] == [nursery], left
        print(refused > 5, started > 5)
    """)
    assert out == "True True\n"
