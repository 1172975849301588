"""Programs that are one file: mt.aio.proc is imported from an archive, in the child as well."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import cloudpickle
import pytest

import mt.aio.core
import mt.aio.proc

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
