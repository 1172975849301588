"""Fresh interpreters, with all pieces or with chosen ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[str], str]:
    """Run a program in a fresh interpreter of this environment and give what it prints."""

    def run(program: str) -> str:
        return _run([sys.executable, "-W", "error", "-c", program], tmp_path)

    return run


class Layout:
    """A folder of installed pieces, as wheels leave it."""

    def __init__(self, folder: Path) -> None:
        self.aio = folder / "site" / "mt" / "aio"
        self.aio.mkdir(parents=True)
        self.install("mt-aio", "__init__.py")

    def install(self, distribution: str, what: str) -> None:
        """Put a part of a distribution here."""
        source = ROOT / "packages" / distribution / "src" / "mt" / "aio" / what
        if source.is_dir():
            shutil.copytree(source, self.aio / what, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, self.aio)

    def fake(self, piece: str, content: str) -> None:
        """Install a piece made up for the test."""
        (self.aio / piece).mkdir()
        (self.aio / piece / "__init__.py").write_text(content)

    def run(self, program: str) -> str:
        """Run a program that sees the standard library and this folder alone."""
        site = str(self.aio.parents[1])
        start = f"import sys; sys.path.insert(0, {site!r})\n"
        return _run([sys.executable, "-I", "-S", "-W", "error", "-c", start + program], site)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Give an installation of the facade and core alone."""
    layout = Layout(tmp_path)
    layout.install("mt-aio-core", "core")
    return layout


def _run(command: list[str], folder: Path | str) -> str:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
