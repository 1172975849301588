"""The distributions, built once, and fresh environments to install them into."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
MEMBERS = {
    path.parent.name: tomllib.loads(path.read_text())["project"]
    for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
"""The distributions, with their metadata: the one list that all tests here go by."""
PIECES = [name.removeprefix("mt-aio-") for name in MEMBERS if name != "mt-aio"]
EXTRAS = MEMBERS["mt-aio"]["optional-dependencies"]
EVERYTHING = f"mt-aio[{','.join(EXTRAS)}]"
"""The facade with every piece; its extra `all` leaves some out."""
STUBS = "types-aiofiles"
"""What a type checker wants beside a dependency of ours."""


def ours(requirements: list[str]) -> set[str]:
    """The distributions of ours among some requirements, with those that they require."""
    names = {re.match(r"[\w-]+", line)[0] for line in requirements} & MEMBERS.keys()
    return names.union(*(ours(MEMBERS[name]["dependencies"]) for name in names))


def pieces_with(extra: str) -> set[str]:
    """The pieces that come with an extra of the facade; with none of them, if it is empty."""
    wanted = list(MEMBERS["mt-aio"]["dependencies"])
    if extra == "all":  # stands for other extras
        (line,) = EXTRAS["all"]
        for other in re.fullmatch(r"mt-aio\[(.*)\]", line)[1].split(","):
            wanted += EXTRAS[other]
    elif extra:
        wanted += EXTRAS[extra]
    return {name.removeprefix("mt-aio-") for name in ours(wanted)}


def requirements_of_others() -> list[str]:
    """What the pieces need of other projects, with the bounds that they declare."""
    found = []
    for project in MEMBERS.values():
        extras = project.get("optional-dependencies", {}).values()
        found += [*project["dependencies"], *(line for extra in extras for line in extra)]
    return [line for line in found if not line.startswith("mt-aio")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests for each distribution, each piece, or each extra (and for none)."""
    for argument, values in {
        "distribution": list(MEMBERS),
        "piece": PIECES,
        "extra": ["", *EXTRAS],
    }.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, values)


@pytest.fixture(scope="session")
def members() -> dict[str, dict[str, Any]]:
    """The metadata of the distributions, by their names."""
    return MEMBERS


@pytest.fixture(scope="session")
def pieces() -> list[str]:
    """The names of the pieces."""
    return PIECES


@pytest.fixture(scope="session")
def everything() -> str:
    """The requirement that brings every piece."""
    return EVERYTHING


@pytest.fixture(scope="session")
def extra_pieces() -> Callable[[str], set[str]]:
    """Tell which pieces come with an extra of the facade."""
    return pieces_with


@pytest.fixture(scope="session")
def requirements() -> list[str]:
    """What the pieces need of other projects, with the bounds that they declare."""
    return requirements_of_others()


def run_program(
    *command: str | Path, cwd: Path | None = None, without: tuple[str, ...] = ()
) -> str:
    """Run a program without some environment variables; show all that it said if it fails."""
    inherited = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", *without}
    env = {key: value for key, value in os.environ.items() if key not in inherited}
    env.setdefault("UV_SYSTEM_CERTS", "1")
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=55
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_targets(source: Path, out: Path, *targets: str) -> None:
    """Build a distribution with the backend that its metadata names; needs no network."""
    chosen = [word for target in targets for word in ("-t", target)]
    run_program(sys.executable, "-m", "hatchling", "build", "-d", out, *chosen, cwd=source)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Give a folder that is made once in a run, by whichever worker comes first."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, stamp = base / name, base / f"{name}-is-made"
    with FileLock(base / f"{name}.lock"):
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)  # another test has been given up in it
            make(folder)
            stamp.touch()
    return folder


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give a folder by its name, made by a function once in a run, for all workers."""
    return partial(made_once, tmp_path_factory)


@pytest.fixture(scope="session")
def dist(once: Callable[..., Path]) -> Path:
    """A folder with the wheel and the sdist of every member."""

    def make(folder: Path) -> None:
        for name in MEMBERS:
            build_targets(ROOT / "packages" / name, folder, "sdist", "wheel")

    return once("dist", make)


@pytest.fixture(scope="session")
def build() -> Callable[..., None]:
    """Build targets of a distribution from its sources into a folder."""
    return build_targets


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    """Run a program, which must end well, and give what it printed."""
    return run_program


@pytest.fixture(scope="session")
def wheels(dist: Path) -> dict[str, Path]:
    """The wheels by the names of their distributions."""
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in dist.glob("*.whl")}


class Environment:
    """A virtual environment, fresh unless it is there already."""

    def __init__(self, folder: Path, *options: str, python: str = sys.executable) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.uv = find_uv_bin()
        if not self.python.exists():
            run_program(self.uv, "venv", "--quiet", "--python", python, *options, folder)

    def uv_pip(self, command: str, *arguments: str | Path, unpinned: bool = False) -> str:
        """Run a command of `uv pip` on this environment, with or without constraints.txt."""
        without = ("UV_CONSTRAINT",) if unpinned else ()
        start = (self.uv, "pip", command, "--quiet", "--python", self.python)
        return run_program(*start, *arguments, without=without)

    def install(self, wheels: dict[str, Path], *requirements: str, unpinned: bool = False) -> None:
        """Install requirements, our own only ever from the wheels that were built here."""
        pinned = self.folder / "ours.txt"
        pinned.write_text("".join(f"{name} @ {path.as_uri()}\n" for name, path in wheels.items()))
        self.uv_pip("install", "--constraint", pinned, *requirements, unpinned=unpinned)
        self.must_come_from(wheels)

    def install_in_place(self, *names: str) -> None:
        """Install distributions from the checkout, in place."""
        members = [word for name in names for word in ("-e", f"{ROOT / 'packages' / name}")]
        self.uv_pip("install", "--no-deps", *members)

    def must_come_from(self, wheels: dict[str, Path]) -> None:
        """Fail if one of these distributions was installed from anywhere else."""
        found = self.ask(
            "import importlib.metadata, json\n"
            "print(json.dumps({\n"
            "    dist.name: json.loads(dist.read_text('direct_url.json') or '{}').get('url')\n"
            f"    for dist in importlib.metadata.distributions() if dist.name in {list(wheels)}\n"
            "}))"
        )
        assert found == {name: wheels[name].as_uri() for name in found}
        assert found

    def run(self, *arguments: str | Path) -> str:
        """Run its Python, which sees nothing of the environment that the tests run in."""
        return run_program(self.python, "-I", *arguments, cwd=self.folder)

    def ask(self, program: str) -> Any:
        """Run a program there and return what it printed as JSON."""
        return json.loads(self.run("-c", program))


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[..., Environment]:
    """Make a fresh environment, with options for `uv venv`, of this or another Python."""
    return lambda *options, **python: Environment(tmp_path / "environment", *options, **python)


@pytest.fixture(scope="session")
def environment_once(once: Callable[..., Path]) -> Callable[..., Environment]:
    """Give an environment by its name, filled by a function once in a run; no test changes it."""

    def give(name: str, fill: Callable[[Environment], object]) -> Environment:
        return Environment(once(name, lambda folder: fill(Environment(folder))))

    return give


@pytest.fixture(scope="session")
def all_installed(
    wheels: dict[str, Path], environment_once: Callable[..., Environment]
) -> Environment:
    """One environment with everything installed from wheels, and stubs."""
    return environment_once("all-installed", lambda fresh: fresh.install(wheels, EVERYTHING, STUBS))


@pytest.fixture(scope="session")
def all_in_place(environment_once: Callable[..., Environment]) -> Environment:
    """One environment with everything installed from the checkout, and stubs."""

    def fill(fresh: Environment) -> None:
        fresh.uv_pip("install", *requirements_of_others(), STUBS)
        fresh.install_in_place(*MEMBERS)

    return environment_once("all-in-place", fill)
