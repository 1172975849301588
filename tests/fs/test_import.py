"""What importing the piece costs, and what it shows."""

from __future__ import annotations

import pickle

import pytest

import mt.aio.fs

LIGHT = """
import sys

def check(when, *also):
    heavy = ("asyncio", "aiofiles", "numpy", "threading", "subprocess", "zipfile", *also)
    found = [name for name in heavy if name in sys.modules]
    assert not found, f"{when}: {found}"

from mt.aio.core import srun
from mt.aio.fs import json_load, json_save, read_binary, write_binary
check("imported", "tempfile", "json")
srun(write_binary, sys.argv[1], b"{}")
srun(read_binary, sys.argv[1])
check("read and written", "tempfile", "json")
srun(json_save, sys.argv[1], {})
srun(json_load, sys.argv[1])
check("JSON read and written", "tempfile")
print("light")
"""


@pytest.mark.usefixtures("not_counted")
def test_sync_work_imports_little(run_python, tmp_path):
    """Importing the piece, and sync work with it, import no asyncio, aiofiles or numpy."""
    assert run_python(LIGHT, tmp_path / "file") == "light"


def test_public_names():
    """The piece shows its functions, each of which says that it lives here and pickles so."""
    assert mt.aio.fs.__all__ == sorted(mt.aio.fs.__all__)
    for name in mt.aio.fs.__all__:
        func = getattr(mt.aio.fs, name)
        assert func.__module__ == "mt.aio.fs"
        assert func.__doc__
        assert pickle.loads(pickle.dumps(func)) is func
