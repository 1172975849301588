"""What importing costs, over the start of an interpreter that does nothing.

Every program runs in a fresh interpreter with -I -S: no site module and no .pth file has imported
anything before, so that all that a program needs is counted as its own.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _harness import Case, Figures, Measure, Options, Target

FACADE = "import mt.aio"
READ = "from mt.aio import read_binary, srun; srun(read_binary, sys.executable, 100)"
# Into a folder of the program's own: mtbase renames a plain file over any target, /dev/null too.
WRITE = "from mt.aio import srun, write_binary; srun(write_binary, 'file', b'x')"
_SHM = "/dev/shm"  # noqa: S108 - each program gets a folder of its own there
MEMORY = _SHM if os.path.isdir(_SHM) else None  # a disk's pace is not what is measured
PIECES = [
    folder.name.removeprefix("mt-aio-")
    for folder in sorted(Path(__file__).parents[1].glob("packages/mt-aio-*"))
]


class Interpreter:
    """A Python and the folders to import from.

    Args:
        python: the interpreter
        path: what its programs find on sys.path before the standard library
        pairs: how many starts, with and without a program's imports, make one measure
    """

    def __init__(self, python: str, path: list[str], pairs: int) -> None:
        self._python, self._path, self._pairs = python, path, pairs

    def cost(self, program: str) -> Measure:
        """Give a measure of a program, net of the interpreter's start."""
        return lambda: self._net(program)

    def _net(self, program: str) -> Figures:
        found = [self._run(program) - self._run("") for _ in range(self._pairs)]
        return {"time": statistics.median(found)}

    def _run(self, program: str) -> float:
        code = f"import os, sys; sys.path[:0] = {self._path!r}; {program}"
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            begin = time.perf_counter()
            subprocess.run([self._python, "-I", "-S", "-c", code], check=True, cwd=folder)
            return time.perf_counter() - begin


def cases(options: Options) -> Iterator[Case]:
    """Give the cases of this suite."""
    pairs = 3 if options.quick else 5
    ours = Interpreter(sys.executable, our_path(), pairs)
    theirs = (
        Interpreter(options.mtbase, its_path(options.mtbase), pairs) if options.mtbase else None
    )
    asyncio = ours.cost("import asyncio")
    for name, program, limit in (
        ("import mt.aio", FACADE, 0.25),
        ("first file read, sync mode", READ, 0.5),
        ("first file write, sync mode", WRITE, 0.5),
    ):
        yield Case(
            name,
            ours.cost(program),
            {"import asyncio": asyncio, "mtbase": theirs.cost(program) if theirs else None},
            (Target(limit, "import asyncio"), Target(0.25, "mtbase")),
        )
    for piece in PIECES:
        yield Case(
            f"import mt.aio.{piece}",
            ours.cost(f"import mt.aio.{piece}"),
            {"import asyncio": asyncio, "mtbase": theirs.cost(FACADE) if theirs else None},
            (Target(0.25, "mtbase"),),
            notes="mtbase has no pieces: its part is import mt.aio",
        )


def our_path() -> list[str]:
    """Return the folders that hold the facade and the pieces, wherever they are installed."""
    modules = [importlib.import_module(f"mt.aio.{piece}") for piece in PIECES]
    files = [module.__file__ for module in (*modules, importlib.import_module("mt.aio"))]
    roots = [str(Path(file).parent) for file in files if file]
    return list(dict.fromkeys(root.rpartition(f"{os.sep}mt{os.sep}aio")[0] for root in roots))


def its_path(python: str) -> list[str]:
    """Return the folders that mtbase's Python imports from, beside the standard library."""
    program = "import json, sysconfig; print(json.dumps(sysconfig.get_path('purelib')))"
    done = subprocess.run([python, "-I", "-c", program], check=True, capture_output=True, text=True)
    return [json.loads(done.stdout)]
