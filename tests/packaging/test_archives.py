"""What is in the wheels and the source distributions."""

from __future__ import annotations

import email
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = (ROOT / "VERSION").read_text().strip()
DISTRIBUTIONS = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))

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


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_wheel_holds_its_own_files_and_the_licence(dist, name):
    """Nothing is missing from a wheel, and nothing of another distribution is in it."""
    info = f"{name.replace('-', '_')}-{VERSION}.dist-info"
    with zipfile.ZipFile(archive(dist, name, "-py3-none-any.whl")) as wheel:
        names = set(wheel.namelist())
        licence = wheel.read(f"{info}/licenses/LICENSE")
    metadata = {f"{info}/{file}" for file in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    if name == "mt-aio-core":  # its pytest plugin
        metadata.add(f"{info}/entry_points.txt")
    assert names == sources(name) | metadata
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert "mt/__init__.py" not in names
    assert ("mt/aio/__init__.py" in names) == (name == "mt-aio")


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_an_sdist_holds_what_builds_it(dist, name):
    """A source distribution has the sources, README, licence and metadata, and nothing else."""
    top = f"{name.replace('-', '_')}-{VERSION}"
    with tarfile.open(archive(dist, name, ".tar.gz")) as sdist:
        names = {member.name.removeprefix(f"{top}/") for member in sdist.getmembers()}
    expected = {f"src/{file}" for file in sources(name)}
    expected |= {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert names - {".gitignore"} == expected  # hatchling adds the ignore file it went by


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_wheel_from_the_sdist_is_the_same(dist, build, name, tmp_path):
    """Whoever builds from the source distribution gets the wheel that we publish, bit for bit."""
    with tarfile.open(archive(dist, name, ".tar.gz")) as sdist:
        sdist.extractall(tmp_path, filter="data")
    build(tmp_path / f"{name.replace('-', '_')}-{VERSION}", tmp_path, "wheel")
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == (dist / again.name).read_bytes()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_metadata_says_what_an_index_shows(wheels, name):
    """Version, licence, description and README reach the wheel's metadata."""
    with zipfile.ZipFile(wheels[name]) as wheel:
        (file,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = email.message_from_bytes(wheel.read(file))
    assert metadata["Name"] == name
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    readme = (ROOT / "packages" / name / "README.md").read_text(encoding="utf-8")
    assert metadata.get_payload(decode=True).decode().strip() == readme.strip()
    assert readme.strip()
