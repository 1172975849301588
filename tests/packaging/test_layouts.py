"""Installing in place, in mixtures, with old dependencies, and taking a piece away again."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

# One call or more into each piece and into everything that a piece needs.
USE_EACH_PIECE = """
import asyncio, json, queue
import mt.aio
from mt.aio import (
    AprocManager, BgProcess, CreateFileH5, npz_load, npz_save, open_file, qget_aio, sleep, srun
)

class Child(BgProcess):
    def child_handle_message(self, msg):
        return msg[::-1]

async def use(context_vars):
    await npz_save("a.npz", {"x": [1, 2]}, context_vars=context_vars)
    loaded = (await npz_load("a.npz", context_vars=context_vars))["x"].tolist()
    async with CreateFileH5("a.h5", context_vars=context_vars) as file:
        file.handle["x"] = loaded
    async with open_file("a.h5", "rb", context_vars=context_vars) as file:
        start = (await file.read(4))[1:]
    child = Child()
    try:
        answer = await child.send("abc", context_vars=context_vars)
    finally:
        child.close()
    return [loaded, start.decode(), answer]

async def only_async():
    items = queue.Queue()
    async with AprocManager() as manager:
        await manager.send(sleep(0, context_vars={"async": True}))
        items.put("item")
        return [await qget_aio(items), *await use({"async": True})]

print(json.dumps([srun(use), asyncio.run(only_async()), sorted(mt.aio.__all__)]))
"""
ANSWER = [[1, 2], "HDF", "cba"]


def works(environment):
    """Whether each piece does its work there; `mt.aio.__all__` there."""
    sync_answer, async_answer, names = environment.ask(USE_EACH_PIECE)
    assert sync_answer == ANSWER
    assert async_answer == ["item", *ANSWER]
    return names


def test_the_whole_works_from_wheels(all_installed):
    """What is installed by the extras of mt-aio works, in both modes."""
    assert works(all_installed)


def test_all_in_place(all_in_place, all_installed):
    """Installations in place, each in a folder of its own, work like the wheels."""
    assert works(all_in_place) == works(all_installed)
    where = "import json, mt.aio.h5; print(json.dumps(mt.aio.h5.__file__))"
    assert Path(all_in_place.ask(where)).is_relative_to(ROOT / "packages" / "mt-aio-h5")


@pytest.mark.parametrize("in_place", [["mt-aio"], ["mt-aio-fs", "mt-aio-manager"]])
def test_a_mixture(fresh, wheels, all_installed, in_place):
    """The facade finds pieces in place and from wheels, wherever it comes from itself."""
    environment = fresh()
    environment.install(wheels, "mt-aio[all]")
    environment.install_in_place(*in_place)
    assert works(environment) == works(all_installed)


def test_the_lowest_allowed_versions(fresh, wheels, requirements):
    """The lower bounds of all dependencies are true (where this Python has wheels of them)."""
    environment = fresh()
    lowest = ("--resolution", "lowest-direct", "--only-binary", ":all:")
    environment.install(wheels, *lowest, "mt-aio[all]", *requirements, unpinned=True)
    assert works(environment)
    if sys.version_info[:2] == (3, 11):  # the oldest has wheels of all lower bounds
        versions = environment.uv_pip("list", "--format", "freeze")
        for line in (line for line in requirements if ";" not in line):
            name, bound = re.fullmatch(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", line).groups()
            assert re.search(rf"^{name}=={re.escape(bound)}(\.\d+)*$", versions, re.MULTILINE)


ASK_NAMES = """
import json, mt.aio
try:
    mt.aio.{name}
except ModuleNotFoundError as exc:
    print(json.dumps([str(exc), mt.aio.__all__]))
"""


@pytest.mark.parametrize(
    ("absent", "names"),
    [("h5", {"CreateFileH5"}), ("manager", {"AprocManager"})],
)
def test_uninstalling_a_piece_leaves_the_rest(fresh, wheels, all_installed, absent, names):
    """A piece that is taken away again is absent, with the usual hint; the others stay."""
    environment = fresh()
    environment.install(wheels, "mt-aio[all]")
    environment.uv_pip("uninstall", f"mt-aio-{absent}")
    (name,) = names
    hint, left = environment.ask(ASK_NAMES.format(name=name))
    assert hint == f'mt.aio.{name} needs mt-aio-{absent}: pip install "mt-aio[{absent}]"'
    whole = all_installed.ask("import json, mt.aio; print(json.dumps(mt.aio.__all__))")
    assert set(left) == set(whole) - names


def test_uninstalling_the_facade_leaves_the_pieces(fresh, wheels, everything, pieces):
    """Without the distribution mt-aio, each piece can be imported by its own name."""
    environment = fresh()
    environment.install(wheels, everything)
    environment.uv_pip("uninstall", "mt-aio")
    program = "".join(f"import mt.aio.{piece}\n" for piece in pieces)
    program += "import json; print(json.dumps(mt.aio.__file__))"
    assert environment.ask(program) is None
