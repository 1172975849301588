"""What each way of installing the wheels gives, in fresh environments."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

# The names of the facade, by piece, as they are documented; a piece may have none there.
NAMES = {
    "core": {"srun", "arun", "arun2", "sleep", "yield_control", "ipython"},
    "fs": {
        *("read_binary", "write_binary", "read_text", "write_text", "json_load", "json_save"),
        *("npz_load", "npz_save", "mkdtemp", "safe_chmod", "safe_rename", "open_file"),
    },
    "h5": {"CreateFileH5"},
    "proc": {"BgProcess", "qput_aio", "qget_aio"},
    "manager": {"AprocManager"},
}
# Those of pieces that the facade has no names of.
NAMES_ELSEWHERE = {"remote": {"close", "configure"}, "dask": {"DaskHost", "queue"}}
PIECE_OF = {name: piece for piece, names in NAMES.items() for name in names}

ASK_FACADE = f"""
import json, mt.aio
errors = {{}}
for name in {sorted(PIECE_OF)}:
    for way in (lambda: getattr(mt.aio, name), lambda: exec("from mt.aio import " + name)):
        try:
            way()
        except Exception as error:
            shown = [type(error).__name__, str(error), getattr(error, "name", None)]
            errors.setdefault(name, []).append(shown)
star = {{}}
exec("from mt.aio import *", star)
print(json.dumps({{
    "all": list(mt.aio.__all__), "dir": dir(mt.aio), "star": list(star), "errors": errors,
}}))
"""


def test_an_extra_gives_just_its_names(fresh, wheels, extra, extra_pieces):
    """Design, Pieces: the names of what is installed are there, the others say what to install."""
    environment = fresh()
    environment.install(wheels, f"mt-aio[{extra}]" if extra else "mt-aio")
    found = environment.ask(ASK_FACADE)
    present = {name for name, piece in PIECE_OF.items() if piece in extra_pieces(extra)}
    assert set(found["all"]) == present
    assert set(found["dir"]) & set(PIECE_OF) == present
    assert set(found["star"]) & set(PIECE_OF) == present
    assert found["errors"] == {
        name: [
            [
                "ModuleNotFoundError",
                f'mt.aio.{name} needs mt-aio-{piece}: pip install "mt-aio[{piece}]"',
                f"mt.aio.{piece}",
            ]
        ]
        * 2  # once by attribute, once by `from mt.aio import`
        for name, piece in PIECE_OF.items()
        if name not in present
    }


ASK_PIECE = """
import importlib, json, importlib.util
piece = importlib.import_module("mt.aio.{piece}")
print(json.dumps({{
    "all": list(piece.__all__),
    "missing": [name for name in piece.__all__ if not hasattr(piece, name)],
    "facade": importlib.util.find_spec("mt.aio").origin,
}}))
"""


def test_a_piece_works_without_the_facade(fresh, wheels, piece):
    """A piece that is installed alone has its documented names, and there is no `mt.aio` file."""
    environment = fresh()
    environment.install(wheels, f"mt-aio-{piece}")
    found = environment.ask(ASK_PIECE.format(piece=piece))
    assert (NAMES | NAMES_ELSEWHERE)[piece] <= set(found["all"])
    assert not found["missing"]
    assert found["facade"] is None


USE_ALL = """
import asyncio, json, pathlib
from mt.aio import CreateFileH5, read_text, srun, write_text

async def both(folder, context_vars):
    await write_text("memory://all/a.txt", "blau", context_vars=context_vars)
    assert await read_text("memory://all/a.txt", context_vars=context_vars) == "blau"
    await write_text(folder + "/a.txt", "grün", context_vars=context_vars)
    async with CreateFileH5(folder + "/a.h5", context_vars=context_vars) as file:
        file.handle["x"] = [1, 2, 3]
    return await read_text(folder + "/a.txt", context_vars=context_vars)

answers = []
for name, run in (("sync", lambda f: srun(both, f)),
                  ("async", lambda f: asyncio.run(both(f, context_vars={"async": True})))):
    pathlib.Path(name).mkdir()
    answers.append([run(name), sorted(p.name for p in pathlib.Path(name).iterdir())])
print(json.dumps(answers))
"""


def test_the_whole_works_when_installed_from_wheels(fresh, wheels):
    """With the extra `all`, files are written and read in both modes by what the wheels hold."""
    environment = fresh()
    environment.install(wheels, "mt-aio[all]")
    assert environment.ask(USE_ALL) == [["grün", ["a.h5", "a.txt"]]] * 2
