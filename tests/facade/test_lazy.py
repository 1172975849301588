"""When the facade imports its pieces, and what it says when it cannot."""

from __future__ import annotations

import pytest

import mt.aio

HINTS = {
    "read_text": 'mt.aio.read_text needs mt-aio-fs: pip install "mt-aio[fs]"',
    "CreateFileH5": 'mt.aio.CreateFileH5 needs mt-aio-h5: pip install "mt-aio[h5]"',
    "BgProcess": 'mt.aio.BgProcess needs mt-aio-proc: pip install "mt-aio[proc]"',
    "qget_aio": 'mt.aio.qget_aio needs mt-aio-proc: pip install "mt-aio[proc]"',
    "AprocManager": 'mt.aio.AprocManager needs mt-aio-manager: pip install "mt-aio[manager]"',
}

CORE = ["arun", "arun2", "ipython", "sleep", "srun", "yield_control"]

CATCH = """
try:
    from mt.aio import {name}
except ImportError as exc:
    print(type(exc).__name__, exc.name, exc, sep="|")
"""


@pytest.mark.usefixtures("not_counted")
def test_import_loads_nothing(fresh):
    """`import mt.aio`, `dir()` and `__all__` import no piece and nothing of weight."""
    program = """
import sys
before = set(sys.modules)
import mt.aio
print(*sorted(set(sys.modules) - before))
mt.aio.__all__, dir(mt.aio)
heavy = {"asyncio", "threading", "subprocess", "multiprocessing", "aiofiles", "numpy", "h5py"}
print(*[n for n in set(sys.modules) - before if n.startswith("mt.aio.") or n in heavy])
"""
    assert fresh(program).splitlines() == ["__future__ mt mt.aio", ""]


def test_name_loads_its_piece_alone(fresh):
    """The first use of a name imports its piece, and no other."""
    program = """
import sys, mt.aio
mt.aio.srun
print(*sorted(n for n in sys.modules if n.startswith("mt.aio.") and n.count(".") == 2))
"""
    assert fresh(program).split() == ["mt.aio.core"]


def test_names_are_kept(fresh):
    """A name used once is an ordinary global of the facade: no second look-up."""
    program = """
import mt.aio
first = "srun" in vars(mt.aio)
mt.aio.srun
print(first, "srun" in vars(mt.aio))
"""
    assert fresh(program).split() == ["False", "True"]


def test_ipython_is_looked_up_anew(fresh):
    """`mt.aio.ipython` tells what is true now, not what was true at its first use."""
    program = """
import sys, types, mt.aio
print(mt.aio.ipython)
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: "a shell")
print(mt.aio.ipython)
"""
    assert fresh(program).split() == ["outside", "inside_without_asyncio_nested"]


@pytest.mark.parametrize("name", HINTS)
def test_absent_piece(layout, name):
    """A name whose piece is absent raises ModuleNotFoundError that says what to install."""
    module = f"mt.aio.{HINTS[name].partition('[')[2].partition(']')[0]}"
    printed = layout.run(CATCH.format(name=name)).strip()
    assert printed == f"ModuleNotFoundError|{module}|{HINTS[name]}"


def test_absent_core(layout):
    """Without core the advice names its distribution, as there is no extra of that name."""
    (layout.aio / "core").rename(layout.aio / "elsewhere")
    printed = layout.run(CATCH.format(name="srun")).strip()
    hint = "mt.aio.srun needs mt-aio-core: pip install mt-aio-core"
    assert printed == f"ModuleNotFoundError|mt.aio.core|{hint}"


def test_absent_names_are_left_out(layout):
    """What is not installed is in neither `dir()` nor `__all__`, and `import *` works."""
    program = """
import mt.aio
from mt.aio import *
print(*[n for n in dir(mt.aio) if not n.startswith("__")])
print(*mt.aio.__all__)
print(callable(srun))
"""
    assert layout.run(program).splitlines() == [" ".join(CORE), " ".join(CORE), "True"]


def test_help_without_all_pieces(layout):
    """`help(mt.aio)` works where pieces are absent."""
    program = "import mt.aio, pydoc\nprint(pydoc.plain(pydoc.render_doc(mt.aio)))"
    assert "Run an asyn function in synchronous mode" in layout.run(program)


def test_folder_left_by_an_uninstall(layout):
    """A folder without the piece in it (pip leaves one behind) is no piece."""
    (layout.aio / "h5" / "__pycache__").mkdir(parents=True)
    printed = layout.run(CATCH.format(name="CreateFileH5")).strip()
    assert printed == f"ModuleNotFoundError|mt.aio.h5|{HINTS['CreateFileH5']}"
    assert layout.run("import mt.aio\nprint(*mt.aio.__all__)").split() == CORE


def test_missing_module_inside_a_piece(layout):
    """An installed piece that lacks something it needs says so itself, unchanged."""
    layout.fake("h5", "import no_such_h5py")
    printed = layout.run(CATCH.format(name="CreateFileH5")).strip()
    assert printed == "ModuleNotFoundError|no_such_h5py|No module named 'no_such_h5py'"


def test_error_inside_a_piece(layout):
    """An error of an installed piece is not disguised as a missing one."""
    layout.fake("h5", "raise ImportError('broken libhdf5', name='mt.aio.h5')")
    printed = layout.run(CATCH.format(name="CreateFileH5")).strip()
    assert printed == "ImportError|mt.aio.h5|broken libhdf5"


def test_piece_that_is_too_old(layout):
    """A piece without the name, of an older version, is to be upgraded."""
    layout.fake("h5", "")
    printed = layout.run(CATCH.format(name="CreateFileH5")).strip()
    assert printed == (
        "ImportError|mt.aio.h5|the installed mt-aio-h5 is too old for mt.aio.CreateFileH5: "
        'pip install -U "mt-aio[h5]"'
    )


def test_piece_in_another_folder(layout, tmp_path):
    """A piece elsewhere on the path (an editable install) is found as well."""
    elsewhere = tmp_path / "elsewhere" / "mt" / "aio" / "manager"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("class AprocManager: pass")
    program = f"""
sys.path.append({str(tmp_path / "elsewhere")!r})
import mt.aio
print(mt.aio.AprocManager.__module__, "AprocManager" in dir(mt.aio))
"""
    assert layout.run(program).split() == ["mt.aio.manager", "True"]


def test_advice_in_this_interpreter():
    """What the facade says of a missing piece, and of a name that the installed piece lacks."""
    with pytest.raises(ModuleNotFoundError, match=r'pip install "mt-aio\[absent\]"') as absent:
        mt.aio._fetch("name", "absent")
    assert absent.value.name == "mt.aio.absent"
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = mt.aio.no_such_name
    with pytest.raises(ImportError, match="pip install -U mt-aio-core"):
        mt.aio._fetch("no_such_name", "core")
