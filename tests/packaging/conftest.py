"""The distributions, built once, and fresh environments to install them into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
MEMBERS = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program, and show all that it said if it fails."""
    inherited = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
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
    run(sys.executable, "-m", "hatchling", "build", "-d", out, *chosen, cwd=source)


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of every member."""
    out = tmp_path_factory.mktemp("dist")
    for member in MEMBERS:
        build_targets(member, out, "sdist", "wheel")
    return out


@pytest.fixture(scope="session")
def build() -> Callable[..., None]:
    """Build targets of a distribution from its sources into a folder."""
    return build_targets


@pytest.fixture(scope="session")
def wheels(dist: Path) -> dict[str, Path]:
    """The wheels by the names of their distributions."""
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in dist.glob("*.whl")}


class Environment:
    """A fresh virtual environment."""

    def __init__(self, folder: Path, uv: str) -> None:
        self.python = folder / "bin" / "python"
        self.uv = uv
        run(uv, "venv", "--quiet", "--python", sys.executable, folder)

    def install(self, wheels: dict[str, Path], *requirements: str) -> None:
        """Install requirements, our own only ever from the wheels that were built here."""
        pinned = self.python.parents[1] / "ours.txt"
        pinned.write_text("".join(f"{name} @ {path.as_uri()}\n" for name, path in wheels.items()))
        run(
            *(self.uv, "pip", "install", "--quiet", "--python", self.python),
            *("--constraint", pinned, *requirements),
        )
        for listed in json.loads(
            run(self.uv, "pip", "list", "--format", "json", "--python", self.python)
        ):
            if listed["name"] in wheels:
                self.must_come_from(listed["name"], wheels[listed["name"]])

    def must_come_from(self, name: str, wheel: Path) -> None:
        """Fail if a distribution was installed from anywhere else."""
        found = self.ask(
            "import importlib.metadata, json\n"
            f"file = importlib.metadata.distribution({name!r}).read_text('direct_url.json')\n"
            "print(file or json.dumps({'url': None}))"
        )
        assert found["url"] == wheel.as_uri()

    def ask(self, program: str) -> Any:
        """Run a program there and return what it printed as JSON."""
        return json.loads(run(self.python, "-I", "-c", program, cwd=self.python.parents[1]))


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Environment]:
    """Make fresh environments."""
    uv = find_uv_bin()
    return lambda: Environment(tmp_path / "environment", uv)
