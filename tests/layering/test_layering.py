"""Who may import whom: read from the sources, and seen in fresh interpreters."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "packages"

# The pieces that each piece may build upon.
MAY_IMPORT = {
    "core": set(),
    "fs": {"core"},
    "h5": {"core", "fs"},
    "proc": {"core"},
    "manager": {"core"},
    "remote": {"core", "fs"},
    "dask": {"core", "proc"},
}
PIECES = sorted(MAY_IMPORT)

# What importing a piece must not load: its users may never need it, and each is dear.
HEAVY = {"IPython", "aiofiles", "asyncio", "cloudpickle", "h5py", "multiprocessing", "numpy"}
HEAVY |= {"dask", "distributed", "obstore", "subprocess", "tempfile", "tqdm", "uvloop"}


class Import(NamedTuple):
    """One imported module, or a name imported from one."""

    module: str
    name: str | None
    line: int

    @property
    def parts(self) -> list[str]:
        """The dotted path of what is imported, the name included."""
        return [*self.module.split("."), *([self.name] if self.name else [])]


def source_folder(piece: str) -> Path:
    """The folder of a piece's modules."""
    return PACKAGES / f"mt-aio-{piece}" / "src" / "mt" / "aio" / piece


def sources(piece: str) -> list[Path]:
    """The modules of a piece."""
    found = sorted(source_folder(piece).rglob("*.py"))
    assert found, f"no sources of {piece}"
    return found


def imports(source: str, package: str) -> list[Import]:
    """All imports in a module of `package`, wherever they stand, relative ones made absolute."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, None, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                kept = package.split(".")
                kept = kept[: len(kept) - node.level + 1]
                module = ".".join([*kept, *([module] if module else [])])
            found += [Import(module, alias.name, node.lineno) for alias in node.names]
    return found


def breaches(source: str, piece: str) -> list[str]:
    """What a module of a piece imports although it must not."""
    found = []
    for item in imports(source, f"mt.aio.{piece}"):
        parts = item.parts
        if parts[0] != "mt":
            continue
        if item.module in {"mt", "mt.aio"}:
            found.append(f"line {item.line}: the facade")
        elif parts[2] == piece:
            continue
        elif parts[2] not in MAY_IMPORT[piece]:
            found.append(f"line {item.line}: {piece} must not know {parts[2]}")
        elif any(part.startswith("_") for part in parts[3:]):
            found.append(f"line {item.line}: {'.'.join(parts)} is private")
    return found


def test_each_piece_has_its_rule():
    """No piece is left out of the table above."""
    assert {f"mt-aio-{piece}" for piece in PIECES} == {p.name for p in PACKAGES.glob("mt-aio-*")}


@pytest.mark.parametrize("piece", PIECES)
def test_dependencies_run_one_way(piece):
    """A piece imports only the pieces below it, never their private modules, never the facade."""
    found = [
        f"{path.relative_to(ROOT)}, {breach}"
        for path in sources(piece)
        for breach in breaches(path.read_text(), piece)
    ]
    assert not found


@pytest.mark.parametrize(
    ("piece", "source"),
    [
        ("core", "import mt.aio"),
        ("core", "import mt"),
        ("core", "from mt import aio"),
        ("fs", "from mt.aio import srun"),
        ("fs", "from mt.aio import core"),
        ("fs", "from .. import core"),
        ("fs", "from mt.aio.h5 import CreateFileH5"),
        ("core", "def f():\n    import mt.aio.fs"),
        ("manager", "if TYPE_CHECKING:\n    from mt.aio.proc import BgProcess"),
        ("h5", "from mt.aio.fs._atomic import x"),
        ("h5", "from mt.aio.fs import _atomic"),
        ("h5", "from mt.aio.fs.lowlevel import _hidden"),
        ("h5", "from ..fs._atomic import x"),
        ("proc", "import mt.aio.core._pool as pool"),
        ("fs", "import mt.aio.remote.lowlevel"),
        ("h5", "from mt.aio.remote import configure"),
    ],
)
def test_a_breach_is_found(piece, source):
    """The check sees every way of writing a forbidden import."""
    assert breaches(source, piece)


@pytest.mark.parametrize(
    ("piece", "source"),
    [
        ("h5", "from mt.aio.fs import write_binary"),
        ("h5", "import mt.aio.core.lowlevel"),
        ("fs", "from mt.aio.fs import _atomic"),
        ("fs", "from . import _atomic"),
        ("fs", "from ..core.lowlevel import offload"),
        ("core", "import mtaio, os.path"),
    ],
)
def test_an_allowed_import_is_let_through(piece, source):
    """The check does not cry at what the rules allow."""
    assert not breaches(source, piece)


def requirements(piece: str) -> set[str]:
    """The distributions that a piece declares, its extras included."""
    file = PACKAGES / f"mt-aio-{piece}" / "pyproject.toml"
    project = tomllib.loads(file.read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return {re.split(r"[^\w-]", line)[0] for line in lines}


@pytest.mark.parametrize("piece", PIECES)
def test_declared_pieces_are_those_it_may_import(piece):
    """The metadata of a piece names exactly pieces below it."""
    declared = {name for name in requirements(piece) if name.startswith("mt-aio")}
    assert declared <= {f"mt-aio-{other}" for other in MAY_IMPORT[piece]}


@pytest.mark.parametrize("piece", PIECES)
def test_what_is_imported_is_declared(piece):
    """A piece imports only the standard library and what its metadata names."""
    declared = requirements(piece)
    used = {
        f"mt-aio-{item.parts[2]}" if item.parts[0] == "mt" else item.parts[0]
        for path in sources(piece)
        for item in imports(path.read_text(), f"mt.aio.{piece}")
    }
    assert used - declared - set(sys.stdlib_module_names) <= {f"mt-aio-{piece}"}


def test_exceptions_to_the_rules_have_reasons():
    """Whatever silences ruff or mypy is followed by its reason, on its line."""
    bare = re.compile(r"# (noqa(: [A-Z0-9, ]+)?|type: ignore(\[[a-z, -]+\])?)\s*$", re.MULTILINE)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for folder in ("packages", "scripts", "examples", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for match in bare.finditer(path.read_text())
    ]
    assert not found


def test_shared_levels_belong_to_nobody():
    """`mt` has no `__init__.py` anywhere, `mt.aio` has one in the facade alone."""
    inits = {str(path.relative_to(PACKAGES)) for path in PACKAGES.glob("*/src/mt/__init__.py")}
    inits |= {str(path.relative_to(PACKAGES)) for path in PACKAGES.glob("*/src/mt/aio/__init__.py")}
    assert inits == {"mt-aio/src/mt/aio/__init__.py"}


def test_each_distribution_keeps_to_its_folder():
    """A piece has nothing beside `mt/aio/<piece>`, and the facade no folder of its own."""
    strangers = [
        str(path.relative_to(PACKAGES))
        for package in PACKAGES.iterdir()
        for path in (package / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if path.parent != package / "src" / "mt" / "aio"
        if not path.is_relative_to(source_folder(package.name.removeprefix("mt-aio-")))
    ]
    assert not strangers


@pytest.mark.parametrize("piece", PIECES)
def test_each_piece_is_typed(piece):
    """A piece has the marker that makes type checkers read its annotations."""
    assert (source_folder(piece) / "py.typed").is_file()


def test_the_facade_is_typed():
    """The facade has the marker, too."""
    assert (PACKAGES / "mt-aio/src/mt/aio/py.typed").is_file()


def loaded_by(code: str) -> set[str]:
    """The modules that a piece of code adds to a fresh interpreter."""
    program = (
        "import sys; before = set(sys.modules)\n"
        f"{code}\n"
        "loaded = sorted(set(sys.modules) - before)\n"
        "import json; print(json.dumps(loaded))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout))


def test_the_facade_alone_loads_no_piece():
    """Design, Pieces: `import mt.aio` imports no piece and nothing heavy."""
    loaded = loaded_by("import mt.aio")
    assert "mt.aio" in loaded
    assert not [name for name in loaded if name.startswith("mt.aio.")]
    assert not loaded & (HEAVY | {"json", "threading"})


@pytest.mark.parametrize("piece", PIECES)
def test_importing_a_piece_loads_nothing_heavy(piece):
    """Importing a piece loads no event loop, no array library, no process machinery."""
    loaded = loaded_by(f"import mt.aio.{piece}")
    assert f"mt.aio.{piece}" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_loads_only_what_is_below_it(piece):
    """No piece is loaded by one that does not build upon it."""
    loaded = loaded_by(f"import mt.aio.{piece}")
    pieces = {name.split(".")[2] for name in loaded if name.startswith("mt.aio.")}
    assert pieces <= MAY_IMPORT[piece] | {piece}


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_does_not_load_its_lowlevel(piece):
    """Else two threads that import the one and the other first may wait for each other.

    Python tells one of them so, by an error. It happened when names of several pieces were first
    used in threads: core's `lowlevel` was being imported for one piece, and core for another.
    """
    assert f"mt.aio.{piece}.lowlevel" not in loaded_by(f"import mt.aio.{piece}")


def test_a_file_in_sync_mode_needs_no_event_loop(tmp_path):
    """A first write and read in sync mode load no asyncio."""
    path = str(tmp_path / "a.bin")
    loaded = loaded_by(
        "from mt.aio.core import srun\nfrom mt.aio.fs import read_binary, write_binary\n"
        f"srun(write_binary, {path!r}, b'x'); assert srun(read_binary, {path!r}) == b'x'"
    )
    assert not loaded & HEAVY
