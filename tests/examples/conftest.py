"""The demo, run as a user does, or on a standard library of our own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "stdlib_catalogue.py"

# Runs the demo as a script on a standard library of our own; argv: its folder, the code to run
# when the job has been done in asynchronous mode, the demo's arguments.
DRIVER = f"""
import asyncio, runpy, sys, sysconfig
folder, spoil = sys.argv[1:3]
del sys.argv[1:3]
real = sysconfig.get_path
sysconfig.get_path = lambda name: folder if name == "stdlib" else real(name)
def run(coro, real=asyncio.run):
    result = real(coro)
    exec(spoil)
    return result
asyncio.run = run
sys.argv[0] = {str(SCRIPT)!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="session")
def demo():
    """Run the demo as a user does."""

    def run(*args, **options):
        command = [sys.executable, str(SCRIPT), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return run


@pytest.fixture(scope="session")
def demo_on():
    """Run the demo on a standard library of our own, and some code between the modes."""

    def run(sources, out, spoil=""):
        command = [sys.executable, "-c", DRIVER, str(sources), spoil, "--out", str(out)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def files():
    """Read all files below a folder."""

    def read(folder):
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    return read
