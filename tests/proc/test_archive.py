"""Where the child's program comes from: an archive that everything is in, byte code, the source."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import pytest

import mt.aio.core
import mt.aio.proc
from mt.aio.proc import _start

PROGRAM = """
import sys
from mt.aio.core import srun
from mt.aio.proc import BgProcess, _zygote
from helpers_of_mine import Doubler
class Adder(BgProcess):
    def child_handle_message(self, msg):
        return msg + len(sys.argv)
{before}
with Adder() as adder, Doubler() as doubler:
    print(srun(adder.send, 3), srun(doubler.send, 4), adder.pid != doubler.pid)
"""
HELPERS = """
from mt.aio.proc import BgProcess
class Doubler(BgProcess):
    def child_handle_message(self, msg):
        return 2 * msg
"""


@pytest.mark.slow
@pytest.mark.parametrize("run", ["file", "module"])
@pytest.mark.parametrize("nursery", [True, False], ids=["nursery", "fresh"])
def test_all_in_one_file(tmp_path, run, nursery):
    """The program, its modules and everything of ours are in a zip file, and nowhere else."""
    app = tmp_path / "app.pyz"
    with zipfile.ZipFile(app, "w") as archive:
        archive.writestr("mt/", "")  # a package without __init__.py is found by its folder
        archive.writestr("mt/aio/", "")
        for module, place in ((mt.aio.core, "mt/aio/core"), (mt.aio.proc, "mt/aio/proc")):
            for path in Path(module.__file__).parent.glob("*.py"):
                archive.write(path, f"{place}/{path.name}")
        for path in Path(cloudpickle.__file__).parent.glob("*.py"):
            archive.write(path, f"cloudpickle/{path.name}")
        before = "" if nursery else "_zygote.possible = lambda: False"
        archive.writestr("helpers_of_mine.py", HELPERS)
        archive.writestr("__main__.py", PROGRAM.format(before=before))
        archive.writestr("tool.py", PROGRAM.format(before=before))
    if run == "file":
        command = [sys.executable, "-I", "-S", str(app), "argument"]
    else:
        start = f"import runpy, sys; sys.path[:0] = [{str(app)!r}]; sys.argv = ['tool', 'argument']"
        start += "; runpy.run_module('tool', run_name='__main__', alter_sys=True)"
        command = [sys.executable, "-I", "-S", "-c", start]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "5 8 True\n", "")


@pytest.fixture
def compiled(tmp_path, monkeypatch) -> Path:
    """Have a child's program of our own, and return the file with its byte code."""
    source = tmp_path / "program_of_mine.py"
    source.write_text("1\n")
    cached = Path(py_compile.compile(str(source)))
    program = SimpleNamespace(
        __file__=str(source), __name__=source.stem, __spec__=SimpleNamespace(cached=str(cached))
    )
    monkeypatch.setattr(_start, "_child", program)
    return cached


def test_the_program_is_compiled_already(compiled):
    """The interpreter is given what the import system has made of the source."""
    assert _start._program() == [str(compiled)]


@pytest.mark.parametrize("what", ["size", "time", "another Python", "checked by hash", "nothing"])
def test_byte_code_that_may_not_be_of_the_source(compiled, what):
    """It is not used, as the import system would not; the interpreter itself does not look."""
    source = Path(_start._child.__file__)
    header = compiled.read_bytes()[:16]
    if what == "size":
        source.write_text("12\n")
        os.utime(source, ns=(0, int.from_bytes(header[8:12], "little") * 10**9))
    elif what == "time":
        os.utime(source, (0, 0))
    elif what == "another Python":
        compiled.write_bytes(b"\0" + header[1:])
    elif what == "checked by hash":
        py_compile.compile(
            str(source), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
        )
    else:
        compiled.unlink()
    assert _start._program() == [str(source)]


def test_a_program_that_was_not_imported_in_the_usual_way(compiled):
    """Nothing is known of byte code then."""
    _start._child.__spec__ = None
    assert _start._program() == [_start._child.__file__]
