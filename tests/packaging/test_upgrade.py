"""From one release to the next, with pip, as users do it."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = (ROOT / "VERSION").read_text().strip()
MAJOR, MINOR, PATCH = map(int, VERSION.split("."))
NEXT_PATCH = f"{MAJOR}.{MINOR}.{PATCH + 1}"
NEXT_MINOR = f"{MAJOR}.{MINOR + 1}.0"
LIGHT = "mt-aio[manager]"  # pieces that need nothing of other projects, nor any index

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def release(build, tmp_path_factory):
    """Build the distributions of LIGHT as the release script would, in a given version."""
    spec = importlib.util.spec_from_file_location("set_version", ROOT / "scripts/set_version.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    folder = tmp_path_factory.mktemp("releases")

    @functools.cache
    def make(version):
        checkout, out = folder / version, folder / f"dist-{version}"
        for name in ("mt-aio", "mt-aio-core", "mt-aio-manager"):
            shutil.copytree(ROOT / "packages" / name, checkout / "packages" / name)
        shutil.copy(ROOT / "VERSION", checkout)
        script.set_version(checkout, version)
        for member in sorted((checkout / "packages").iterdir()):
            build(member, out, "wheel")
        return out

    return make


@pytest.fixture
def environment(fresh):
    """A fresh environment with a pip of its own."""
    return fresh("--seed")


def pip(environment, *arguments):
    """Run that pip, which finds our wheels in the given folders and no index."""
    return environment.run("-m", "pip", "--disable-pip-version-check", *arguments)


def install(environment, folder, *arguments):
    """Install or upgrade from a folder of wheels, and from nowhere else."""
    pip(environment, "install", "--quiet", "--no-index", "--find-links", folder, *arguments)


def versions(environment):
    """The versions of our distributions there, by name."""
    listed = pip(environment, "list", "--format", "freeze")
    return dict(re.findall(r"^(mt[_-]aio[\w-]*)==(.*)$", listed.replace("_", "-"), re.MULTILINE))


USE = """
import asyncio, json
from mt.aio import AprocManager, sleep

async def use():
    async with AprocManager() as manager:
        await manager.send(sleep(0, context_vars={"async": True}))
    return "done"

print(json.dumps(asyncio.run(use())))
"""


def test_a_patch_release(environment, dist, release):
    """After `pip install -U mt-aio` all goes on working, also pieces that were not upgraded."""
    install(environment, dist, LIGHT)
    install(environment, release(NEXT_PATCH), "--upgrade", "mt-aio")
    assert versions(environment) == {
        "mt-aio": NEXT_PATCH,
        "mt-aio-core": NEXT_PATCH,
        "mt-aio-manager": VERSION,
    }
    pip(environment, "check")
    assert environment.ask(USE) == "done"
    assert "! " not in environment.run("-m", "mt.aio")


def test_an_upgrade_with_the_extras(environment, dist, release):
    """`pip install -U` with the extras brings all of them to the version of the facade."""
    install(environment, dist, LIGHT)
    install(environment, release(NEXT_MINOR), "--upgrade", LIGHT)
    assert set(versions(environment).values()) == {NEXT_MINOR}
    pip(environment, "check")
    assert environment.ask(USE) == "done"


def test_a_minor_release_without_the_extras(environment, dist, release):
    """A piece that is left behind by a minor release is reported, and the named cure cures it."""
    install(environment, dist, LIGHT)
    newer = release(NEXT_MINOR)
    install(environment, newer, "--upgrade", "mt-aio")
    program = """
import json, subprocess, sys
done = subprocess.run([sys.executable, "-I", "-m", "mt.aio"], capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout.splitlines()]))
"""
    status, lines = environment.ask(program)
    assert status == 1
    (fault,) = (line for line in lines if line.startswith("!"))
    assert fault.startswith(f"! mt-aio-manager  {VERSION}, not made for mt-aio {NEXT_MINOR}: ")
    command = fault.split(": ")[1].replace('"', "").split()
    assert command[:2] == ["pip", "install"]
    install(environment, newer, *command[2:])
    status, lines = environment.ask(program)
    assert status == 0, lines


def test_a_release_cannot_be_mixed_up(environment, dist, release):
    """The facade refuses a core of another version: they are pinned to each other."""
    install(environment, dist, "mt-aio")
    with pytest.raises(AssertionError, match="ResolutionImpossible"):
        install(
            environment, release(NEXT_PATCH), f"mt-aio=={NEXT_PATCH}", f"mt-aio-core=={VERSION}"
        )
