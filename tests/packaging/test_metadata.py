"""Versions, pins, licences and changelog fragments, as they stand in the checkout."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VERSION = (ROOT / "VERSION").read_text().strip()
META = "mt-aio"
PIECES = ["core", "fs", "h5", "proc", "manager", "remote"]
DISTRIBUTIONS = [META, *(f"mt-aio-{piece}" for piece in PIECES)]
EXTRAS = {"fs": "mt-aio-fs", "npz": "mt-aio-fs[npz]", "h5": "mt-aio-h5"}
EXTRAS |= {"proc": "mt-aio-proc", "manager": "mt-aio-manager", "remote": "mt-aio-remote"}


def pyproject(name: str) -> dict[str, Any]:
    """The metadata of a member."""
    return tomllib.loads((ROOT / "packages" / name / "pyproject.toml").read_text())


def test_the_members_are_the_distributions():
    """No folder beside them, and each is named after its distribution."""
    folders = sorted(path.name for path in (ROOT / "packages").iterdir())
    assert folders == sorted(DISTRIBUTIONS)
    assert [pyproject(name)["project"]["name"] for name in DISTRIBUTIONS] == DISTRIBUTIONS


def test_the_workspace_lists_all_members():
    """The environments install every distribution from this checkout."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    members = root["tool"]["hatch"]["envs"]["default"]["workspace"]["members"]
    assert sorted(members) == sorted(f"packages/{name}" for name in DISTRIBUTIONS)


def test_the_version_is_a_plain_release():
    """VERSION holds three numbers, as the pins between the pieces are made from them."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_version_has_one_source(name):
    """Each distribution reads its version from the VERSION file at the root."""
    metadata = pyproject(name)
    assert metadata["project"]["dynamic"] == ["version"]
    source = metadata["tool"]["hatch"]["version"]
    assert (ROOT / "packages" / name / source["path"]).resolve() == ROOT / "VERSION"
    match = re.search(source["pattern"], (ROOT / "VERSION").read_text())
    assert match is not None
    assert match["version"] == VERSION


def test_the_facade_pins_its_pieces_exactly():
    """An upgrade of mt-aio upgrades all of its pieces."""
    project = pyproject(META)["project"]
    assert project["dependencies"] == [f"mt-aio-core=={VERSION}"]
    extras = dict(project["optional-dependencies"])
    assert extras.pop("all") == [f"mt-aio[{','.join(EXTRAS)}]"]
    assert extras == {extra: [f"{needed}=={VERSION}"] for extra, needed in EXTRAS.items()}


@pytest.mark.parametrize("piece", PIECES)
def test_pieces_pin_each_other_by_range(piece):
    """Any patch release of the same minor version will do, or upgrades one by one would break."""
    major, minor, _ = VERSION.split(".")
    wanted = f">={major}.{minor}.0,<{major}.{int(minor) + 1}"
    lines = pyproject(f"mt-aio-{piece}")["project"]["dependencies"]
    ours = [line for line in lines if line.startswith("mt-aio")]
    assert ours == [re.match(r"[a-z0-9-]+", line)[0] + wanted for line in ours]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_each_has_the_licence(name):
    """The licence of each distribution is the one at the root."""
    assert pyproject(name)["project"]["license"] == "MIT"
    assert (ROOT / "packages" / name / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_each_supports_the_same_pythons(name):
    """The supported Pythons are the same everywhere, and those that the tests run on."""
    project = pyproject(name)["project"]
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tested = root["tool"]["hatch"]["envs"]["test"]["matrix"][0]["python"]
    listed = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert listed == tested
    assert project["requires-python"] == f">={tested[0]}"


def test_the_constraints_name_no_place():
    """constraints.txt has names and versions only: no index, no address, no path, no member."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    strange = [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", line)]
    assert lines
    assert not strange
    assert not [line for line in lines if line.startswith("mt-aio")]


def fragments() -> list[Path]:
    """The changelog fragments that wait for the next release."""
    kept = {"README.md", ".gitignore", "template.md.jinja"}
    return sorted(path for path in (ROOT / "changes").iterdir() if path.name not in kept)


def test_fragments_are_named_by_their_kind():
    """A fragment that towncrier would not recognise would silently be left out."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    kinds = "|".join(kind["directory"] for kind in config["type"])
    strange = [p.name for p in fragments() if not re.fullmatch(rf"[\w+-]+\.({kinds})\.md", p.name)]
    assert not strange


def test_fragments_begin_with_a_distribution():
    """Each fragment is one line that begins with the distribution it is about."""
    start = re.compile(rf"`({'|'.join(DISTRIBUTIONS)})`: \S.*\n")
    assert not [path.name for path in fragments() if not start.fullmatch(path.read_text())]
