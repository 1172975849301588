"""A child that is forked while another thread imports something."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

FORK = """
import os, signal, sys, threading, warnings
import mt.aio.core

warnings.simplefilter("ignore")  # as there are threads
begun, gate = sys.begun, sys.gate = threading.Event(), threading.Event()

def load():
    import package_of_mine.slow

threading.Thread(target=load).start()
begun.wait()
child = os.fork()
gate.set()
if not child:
    signal.alarm(20)
    from package_of_mine.slow import done
    print(done, flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("where", ["package_of_mine/slow.py", "package_of_mine/__init__.py"])
def test_a_child_imports_what_was_being_imported(tmp_path, where):
    """It does so from the beginning, be it a module or a package with more in it."""
    (tmp_path / "package_of_mine").mkdir()
    for file in ("slow.py", "__init__.py"):
        (tmp_path / "package_of_mine" / file).write_text("done = True\n")
    slow = "import sys\nsys.begun.set()\nassert sys.gate.wait(20)\ndone = True\n"
    (tmp_path / where).write_text(slow)
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=tmp_path,
    )
    assert (done.stdout, done.stderr) == ("True\n0\n", "")


@pytest.mark.parametrize("locks", [None, {"it": lambda: None}, {"it": object}])
def test_locks_that_are_not_as_expected_stay(monkeypatch, locks):
    """Of other versions of Python nothing is known."""
    from mt.aio.core import _fork

    importlib = type(sys)("_frozen_importlib")
    if locks is not None:
        importlib._module_locks = dict(locks)
    monkeypatch.setitem(sys.modules, "_frozen_importlib", importlib)
    _fork._drop_unfinished_imports()
    assert getattr(importlib, "_module_locks", None) == locks
