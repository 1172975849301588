"""The script that sets the version and the pins."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the script edits."""
    shutil.copy(ROOT / "VERSION", tmp_path)
    for path in ROOT.glob("packages/*/pyproject.toml"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        shutil.copy(path, copy)
    return tmp_path


@pytest.fixture
def set_version():
    """The script's function."""
    spec = importlib.util.spec_from_file_location("set_version", ROOT / "scripts/set_version.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.set_version


def texts(root: Path) -> dict[Path, str]:
    """What the script may edit, as it stands."""
    files = [root / "VERSION", *root.glob("packages/*/pyproject.toml")]
    return {path.relative_to(root): path.read_text() for path in files}


def test_version_and_pins_move_together(checkout, set_version):
    """After a bump, VERSION and every pin in all members name the new version."""
    set_version(checkout, "12.34.5")
    after = texts(checkout)
    assert after.pop(Path("VERSION")) == "12.34.5\n"
    pins = re.findall(r'"mt-aio-\w+(?:\[\w+\])?([<>=].*)"', "\n".join(after.values()))
    before = re.findall(r'"mt-aio-\w+(?:\[\w+\])?[<>=]', "\n".join(texts(ROOT).values()))
    assert len(pins) == len(before)
    assert set(pins) == {"==12.34.5", ">=12.34.0,<12.35"}


def test_setting_the_present_version_changes_nothing(checkout, set_version):
    """The script writes pins just as they stand in the checkout."""
    set_version(checkout, (ROOT / "VERSION").read_text().strip())
    assert texts(checkout) == texts(ROOT)


@pytest.mark.parametrize("version", ["1.2", "1.2.3rc1", "v1.2.3", "1.2.3\n", ""])
def test_an_odd_version_is_refused(checkout, set_version, version):
    """Anything but three numbers raises ValueError and leaves the files alone."""
    with pytest.raises(ValueError, match="three numbers"):
        set_version(checkout, version)
    assert texts(checkout) == texts(ROOT)
