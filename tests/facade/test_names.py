"""What the facade offers: the pieces' own objects, under flat names."""

from __future__ import annotations

import ast
import importlib
import pickle
from pathlib import Path

import pytest

import mt.aio

PIECES = {
    "core": ["arun", "arun2", "ipython", "sleep", "srun", "yield_control"],
    "fs": [
        "json_load",
        "json_save",
        "mkdtemp",
        "npz_load",
        "npz_save",
        "open_file",
        "read_binary",
        "read_text",
        "safe_chmod",
        "safe_rename",
        "write_binary",
        "write_text",
    ],
    "h5": ["CreateFileH5"],
    "manager": ["AprocManager"],
    "proc": ["BgProcess", "qget_aio", "qput_aio"],
}
NAMES = [(piece, name) for piece, names in PIECES.items() for name in names]
OBJECTS = [(piece, name) for piece, name in NAMES if name != "ipython"]


@pytest.mark.parametrize(("piece", "name"), NAMES)
def test_name_is_the_piece_s_object(piece, name):
    """`mt.aio.X` is the very X of its piece, which lists it as public."""
    module = importlib.import_module(f"mt.aio.{piece}")
    assert getattr(mt.aio, name) is getattr(module, name)
    assert name in module.__all__


@pytest.mark.parametrize(("piece", "name"), OBJECTS)
def test_public_module(piece, name):
    """An object says that it lives in its piece, not in a private module or the facade."""
    assert getattr(mt.aio, name).__module__ == f"mt.aio.{piece}"


@pytest.mark.parametrize(("piece", "name"), OBJECTS)
def test_pickle(piece, name):
    """Functions and classes are pickled by their public name, without the facade."""
    found = getattr(mt.aio, name)
    pickled = pickle.dumps(found, protocol=0)
    assert pickle.loads(pickled) is found
    assert f"mt.aio.{piece}\n{name}\n".encode() in pickled


def test_all_names_are_listed():
    """`__all__` and `dir()` hold all names and, dunders aside, nothing else."""
    names = sorted(name for _, name in NAMES)
    assert mt.aio.__all__ == names
    assert [name for name in dir(mt.aio) if not name.startswith("__")] == names


def test_names_for_checkers_are_those_at_run_time():
    """What checkers read in the source (imports, `__all__`) is what the table serves."""
    tree = ast.parse(Path(mt.aio.__file__).read_text())
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        (node.module, alias.name)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    listed = next(node.value for node in branch.body if isinstance(node, ast.Assign))
    assert imported == {(f"mt.aio.{piece}", name) for piece, name in NAMES}
    assert ast.literal_eval(listed) == sorted(name for _, name in NAMES)


def test_star_import(fresh):
    """`from mt.aio import *` brings all names."""
    printed = fresh("from mt.aio import *\nprint(*[n for n in dir() if n[0] != '_'], sep='\\n')")
    assert printed.split() == sorted(name for _, name in NAMES)


def test_typo():
    """A name that does not exist is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match=r"module 'mt\.aio' has no attribute 'read_binray'"):
        _ = mt.aio.read_binray


def test_typo_in_an_import():
    """Importing a name that does not exist is a plain ImportError, not an advice to install."""
    with pytest.raises(ImportError, match="cannot import name 'read_binray'"):
        from mt.aio import read_binray  # noqa: F401 - it fails
