"""What is in the wheels and the source distributions."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = (ROOT / "VERSION").read_text().strip()

pytestmark = pytest.mark.slow


def sources(name: str) -> set[str]:
    """The files of a distribution as they are to be installed."""
    folder = ROOT / "packages" / name / "src"
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)) for path in files if path.suffix in {".py", ".typed", ".pyi"}
    }


def archive(dist: Path, name: str, suffix: str) -> Path:
    """The built file of a distribution."""
    return dist / f"{name.replace('-', '_')}-{VERSION}{suffix}"


def test_a_wheel_holds_its_own_files_and_the_licence(dist, distribution):
    """Nothing is missing from a wheel, and nothing of another distribution is in it."""
    info = f"{distribution.replace('-', '_')}-{VERSION}.dist-info"
    with zipfile.ZipFile(archive(dist, distribution, "-py3-none-any.whl")) as wheel:
        names = set(wheel.namelist())
        licence = wheel.read(f"{info}/licenses/LICENSE")
    described = {f"{info}/{file}" for file in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    if distribution == "mt-aio-core":  # its pytest plugin
        described.add(f"{info}/entry_points.txt")
    assert names == sources(distribution) | described
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert "mt/__init__.py" not in names
    assert ("mt/aio/__init__.py" in names) == (distribution == "mt-aio")


def test_an_sdist_holds_what_builds_it(dist, distribution):
    """A source distribution has the sources, README, licence and metadata, and nothing else."""
    top = f"{distribution.replace('-', '_')}-{VERSION}"
    with tarfile.open(archive(dist, distribution, ".tar.gz")) as sdist:
        names = {member.name.removeprefix(f"{top}/") for member in sdist.getmembers()}
    expected = {f"src/{file}" for file in sources(distribution)}
    expected |= {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert names - {".gitignore"} == expected  # hatchling adds the ignore file it went by


def test_a_wheel_from_the_sdist_is_the_same(dist, build, distribution, tmp_path):
    """Whoever builds from the source distribution gets the wheel that we publish, bit for bit."""
    with tarfile.open(archive(dist, distribution, ".tar.gz")) as sdist:
        sdist.extractall(tmp_path, filter="data")
    build(tmp_path / f"{distribution.replace('-', '_')}-{VERSION}", tmp_path, "wheel")
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == (dist / again.name).read_bytes()


def test_the_metadata_says_what_an_index_shows(wheels, distribution):
    """Version, licence, description and README reach the wheel's metadata."""
    with zipfile.ZipFile(wheels[distribution]) as wheel:
        (file,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = email.message_from_bytes(wheel.read(file))
    assert metadata["Name"] == distribution
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    readme = (ROOT / "packages" / distribution / "README.md").read_text(encoding="utf-8")
    assert metadata.get_payload(decode=True).decode().strip() == readme.strip()
    assert readme.strip()


def another_python():
    """A Python of this machine that is not the one that runs the tests, if there is one."""
    found = subprocess.run(
        [ROOT / "scripts" / "pythons", "--all"], capture_output=True, text=True, check=True
    )
    running = "{}.{}".format(*sys.version_info)
    others = [line.split(" ", 1) for line in found.stdout.splitlines()]
    return next((path for version, path in others if version != running), None)


def test_builds_are_reproducible(dist, members, fresh, run, tmp_path):
    """Another Python, folder, time and umask give the same wheels and sdists, byte for byte."""
    python = another_python()
    if python is None:
        pytest.skip("this machine has one Python only")
    environment = fresh(python=python)
    environment.uv_pip("install", f"hatchling=={metadata.version('hatchling')}")
    checkout, out = tmp_path / "another folder", tmp_path / "out"
    for name in members:
        copy = checkout / "packages" / name
        shutil.copytree(ROOT / "packages" / name, copy, ignore=shutil.ignore_patterns("*.pyc"))
        for path in copy.rglob("*"):
            os.utime(path, (1e9, 1e9))
            path.chmod(0o700 if path.is_dir() else 0o600)
    for file in ("VERSION", ".gitignore"):
        shutil.copy(ROOT / file, checkout)
    (checkout / ".git").mkdir()  # the ignore file of the checkout's root counts up to here
    for name in members:
        command = (environment.python, "-m", "hatchling", "build", "-d", out)
        run(*command, cwd=checkout / "packages" / name)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in dist.iterdir()
    }


def test_an_index_accepts_the_metadata(dist, members, run, monkeypatch):
    """`twine check --strict` finds no fault with any archive, its long description included."""
    monkeypatch.setenv("COLUMNS", "1000")  # or the paths decide where its lines are cut
    archives = sorted(path for path in dist.iterdir() if path.suffix in {".whl", ".gz"})
    assert len(archives) == 2 * len(members)
    said = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *archives)
    assert len(re.findall(r": PASSED$", said, re.MULTILINE)) == len(archives)


def test_the_wheels_hold_nothing_odd(wheels, run):
    """check-wheel-contents finds no stray file, no empty folder, no file twice in any wheel."""
    said = run(sys.executable, "-m", "check_wheel_contents", "--no-config", *wheels.values())
    assert said.count(": OK") == len(wheels)
