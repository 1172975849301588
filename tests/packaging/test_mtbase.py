"""One environment with mtbase, the library whose `mt.aio` ours takes the place of."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

MTBASE = "mtbase==4.34.2"
PIECES = ["core", "fs", "h5", "proc", "manager", "remote"]
MT_AIO = ["mt-aio", *(f"mt-aio-{piece}" for piece in PIECES)]

# The names that mtbase 4.34.2 lists as those of its mt.aio (its __api__).
LISTED = {
    *("AprocManager", "BgProcess", "CreateFileH5", "arun", "arun2", "ipython", "json_load"),
    *("json_save", "mkdtemp", "npz_load", "npz_save", "qget_aio", "qput_aio", "read_binary"),
    *("read_text", "safe_chmod", "safe_rename", "sleep", "srun", "write_binary", "write_text"),
    "yield_control",
}

# What else is to be had from its mt.aio, apart from modules and what belongs to others; absent
# from ours on purpose, as docs/guides/from-mtbase.md says.
ABSENT = {
    *("chmod_asyn", "exists_asyn", "inside_ipython", "make_dirs", "make_dirs_asyn"),
    *("make_mttmp_filepath", "remove_asyn", "rename", "rename_asyn", "safe_chmod_and_rename"),
    "wait_until_file_exists",
}

ASK_MTBASE = """
import json, mt.aio
own = [
    name for name, value in vars(mt.aio).items()
    if callable(value) and (getattr(value, "__module__", None) or "").startswith("mt.")
]
print(json.dumps([mt.aio.__api__, own]))
"""

# Which modules of mtbase can be imported, and what the others say.
IMPORT_MTBASE = """
import contextlib, importlib, importlib.metadata, io, json
said = {}
for file in importlib.metadata.files("mtbase"):
    if file.parts[0] == "mt" and file.suffix == ".py" and file.as_posix() != "mt/aio/__init__.py":
        name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                importlib.import_module(name)
            except Exception as exc:
                said[name] = f"{type(exc).__name__}: {exc}"
            else:
                said[name] = "imported"
print(json.dumps(said))
"""

USE_PIECES = """
import asyncio, json
from mt.aio.core import srun
from mt.aio.fs import read_text, write_text
from mt.aio.h5 import CreateFileH5
from mt.aio.manager import AprocManager
from mt.aio.proc import BgProcess

async def both(context_vars):
    await write_text("a.txt", "x", context_vars=context_vars)
    return await read_text("a.txt", context_vars=context_vars)

print(json.dumps([srun(both), asyncio.run(both({"async": True})), read_text.__module__]))
"""

USE_MTBASE = """
import json, mt.aio
mt.aio.srun(mt.aio.write_text, "b.txt", "y")
print(json.dumps([mt.aio.srun(mt.aio.read_text, "b.txt"), mt.aio.read_text.__module__]))
"""

REPORT = """
import json, subprocess, sys
done = subprocess.run([sys.executable, "-I", "-m", "mt.aio"], capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout.splitlines()]))
"""


# What its mt.aio imports; its other parts need a lot more.
NEEDS = ("aiofiles", "aioshutil", "colorama", "h5py", "numpy", "packaging", "psutil")


def install_mtbase(environment, *arguments):
    """Install mtbase, as far as an index has it."""
    try:
        environment.uv_pip("install", *arguments, MTBASE, unpinned=True)
    except AssertionError as exc:
        pytest.skip(f"{MTBASE} cannot be installed here: {str(exc).splitlines()[-1]}")


@pytest.fixture
def whole(fresh):
    """A fresh environment with mtbase and everything that it needs."""
    environment = fresh()
    install_mtbase(environment, "h5py")
    return environment


@pytest.fixture
def beside(fresh):
    """A fresh environment with mtbase and what its mt.aio needs."""
    environment = fresh()
    install_mtbase(environment, "--no-deps")
    environment.uv_pip("install", *NEEDS)
    return environment


def test_its_list_of_names(beside):
    """Each name that mtbase lists is one of ours; each that it only shows is absent on purpose."""
    import mt.aio

    listed, own = beside.ask(ASK_MTBASE)
    assert set(listed) == LISTED
    assert set(listed) <= set(mt.aio.__all__)
    assert set(own) - set(listed) == ABSENT
    assert not ABSENT & set(mt.aio.__all__)


def test_pieces_beside_it(whole, wheels):
    """Without the facade, the pieces work, and so does mtbase with its own mt.aio."""
    before = whole.ask(IMPORT_MTBASE)
    pieces = {name: wheel for name, wheel in wheels.items() if name != "mt-aio"}
    whole.install(pieces, *pieces)
    assert whole.ask(USE_PIECES) == ["x", "x", "mt.aio.fs"]
    assert whole.ask(USE_MTBASE) == ["y", "mt.aio.files"]
    assert whole.ask(IMPORT_MTBASE) == before
    for name in pieces:
        whole.uv_pip("uninstall", name)
    assert whole.ask(USE_MTBASE) == ["y", "mt.aio.files"]
    assert whole.ask(IMPORT_MTBASE) == before


def test_the_facade_over_it(whole, wheels):
    """With mt-aio installed over it, `mt.aio` is ours and mtbase's own modules work as before."""
    before = whole.ask(IMPORT_MTBASE)
    assert list(before.values()).count("imported") > 40
    whole.install(wheels, "mt-aio[all]")
    assert whole.ask(USE_MTBASE) == ["y", "mt.aio.fs"]
    assert whole.ask(IMPORT_MTBASE) == before
    program = "".join(f"from mt.aio import {name}\n" for name in sorted(LISTED))
    assert whole.ask(f"{program}import json; print(json.dumps(ipython))") == "outside"
    status, lines = whole.ask(REPORT)
    assert status == 0
    assert "  mtbase 4.34.2 is installed as well; its own modules work with mt-aio's file" in lines


def test_the_report_s_cures(beside, wheels):
    """Whoever wins, `python -m mt.aio` tells so, and its cures bring back the one or the other."""
    beside.install(wheels, "mt-aio[all]")
    again = ("--reinstall", "--no-deps")
    beside.uv_pip("install", *again, MTBASE, unpinned=True)
    status, lines = beside.ask(REPORT)
    assert status == 1
    (fault,) = (line for line in lines if line.startswith("!"))
    assert fault.endswith("is that of mtbase 4.34.2, installed over mt-aio's")
    assert "    to have mt-aio's: pip install --force-reinstall --no-deps mt-aio" in lines

    beside.install(wheels, *again, "mt-aio")
    assert beside.ask(USE_MTBASE)[1] == "mt.aio.fs"
    assert beside.ask(REPORT)[0] == 0

    beside.uv_pip("uninstall", "mtbase")
    status, lines = beside.ask(REPORT)
    assert status == 1
    assert [line for line in lines if line.startswith("!") and "is missing" in line]
    beside.install(wheels, *again, "mt-aio")
    assert beside.ask(REPORT)[0] == 0


def test_going_back_to_it(beside, wheels):
    """The other cure, for who wants mtbase's `mt.aio`: it is there again, and so are the pieces."""
    beside.install(wheels, "mt-aio[all]")
    beside.uv_pip("uninstall", "mt-aio")
    beside.uv_pip("install", "--reinstall", "--no-deps", MTBASE, unpinned=True)
    assert beside.ask(USE_MTBASE) == ["y", "mt.aio.files"]
    assert beside.ask(USE_PIECES) == ["x", "x", "mt.aio.fs"]
