"""Installing in place, in mixtures, with old dependencies, and taking a piece away again."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

# One call or more into each piece of the extra `all` and into what these need.
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

# One call or more into the other pieces, and into what the extras bring.
USE_EXTRAS = """
import json
import hdf5plugin
from distributed import Client, LocalCluster
from mt.aio import BgProcess, CreateFileH5, read_text, srun, write_text
from mt.aio.core import amap, sleep
from mt.aio.dask import DaskHost
from mt.aio.h5 import OpenFileH5

class Child(BgProcess):
    def child_handle_message(self, msg):
        return msg[::-1]

async def use(client, context_vars):
    await write_text("memory://a/b.txt", "object", context_vars=context_vars)
    naps = amap(sleep, [0, 0], progress="naps", context_vars=context_vars)
    found = [await read_text("memory://a/b.txt", context_vars=context_vars)]
    found.append(len([nap async for nap in naps]))
    data, chunks = [[1.5] * 100] * 100, {"dtype": "f8", "chunks": (50, 100)}
    async with CreateFileH5("b.h5", context_vars=context_vars) as file:
        await file.write("x", data, compression="gzip", deflate="isal", **chunks)
        await file.write("y", data, **hdf5plugin.Zstd(), **chunks)
    async with OpenFileH5("b.h5", context_vars=context_vars) as file:
        found += [(await file.read(name)).sum() for name in "xy"]
    child = Child(host=DaskHost(client))
    try:
        return [*found, await child.send("abc", context_vars=context_vars)]
    finally:
        child.close()

local = {"n_workers": 1, "processes": False, "dashboard_address": None}
with LocalCluster(**local) as cluster, Client(cluster) as client:
    print(json.dumps(srun(use, client)))
"""
A_TEST = """
def test_mode(mode):
    assert mode.context_vars == {"async": mode.is_async}
"""


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


@pytest.fixture(scope="module")
def lowest(wheels, everything, requirements, environment_once):
    """An environment with all dependencies in the oldest versions that this Python can have."""
    options = ("--resolution", "lowest-direct", "--only-binary", ":all:")
    return environment_once(
        "lowest",
        lambda fresh: fresh.install(wheels, *options, everything, *requirements, unpinned=True),
    )


def test_the_lowest_allowed_versions(lowest, requirements):
    """The lower bounds of all dependencies are true."""
    assert works(lowest)
    if sys.version_info[:2] == (3, 11):  # the oldest has wheels of all lower bounds
        versions = lowest.uv_pip("list", "--format", "freeze")
        for line in (line for line in requirements if ";" not in line):
            name, bound = re.fullmatch(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", line).groups()
            assert re.search(rf"^{name}=={re.escape(bound)}(\.\d+)*$", versions, re.MULTILINE)


def test_the_lowest_allowed_versions_of_the_rest(lowest, tmp_path):
    """So are those of what the extras and the cluster's piece bring."""
    assert lowest.ask(USE_EXTRAS) == ["object", 2, 15000.0, 15000.0, "cba"]
    file = tmp_path / "test_mode.py"
    file.write_text(A_TEST)
    assert "2 passed, 1 skipped" in lowest.run("-m", "pytest", file)  # there is no uvloop


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
