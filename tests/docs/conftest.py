"""Where the documentation is, and how an example is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (
    "*.md",
    "changes/*.md",
    "*.yml",
    "docs/**/*.*",
    "packages/*/src/**/*.py",
    "benchmarks/results/*.json",
)


@pytest.fixture
def run_example(tmp_path: Path) -> Callable[[str], str]:
    """Run a script as its reader would, in a folder of its own, and give what it prints."""

    def run(source: str) -> str:
        (tmp_path / "script").mkdir()
        (tmp_path / "work").mkdir()
        script = tmp_path / "script" / "example.py"
        script.write_text(source, encoding="utf-8")
        command = [sys.executable, "-W", "error", "-X", "utf8", str(script)]
        # Readers have no debug mode set, in which asyncio remarks on each step that takes long.
        unset = {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE"}
        ended = subprocess.run(
            command,
            cwd=tmp_path / "work",
            env={name: value for name, value in os.environ.items() if name not in unset},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert ended.returncode == 0, ended.stderr
        assert not ended.stderr
        return ended.stdout

    return run


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """Give docs/hooks.py, whose names are the modules that make parts of pages."""
    spec = spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fresh_site() -> Path:
    """Give the folder of the built site; skip where there is none, or an older one."""
    index = ROOT / "site" / "index.html"
    if not index.is_file():
        pytest.skip("there is no site/: run scripts/docs")
    built = index.stat().st_mtime
    for pattern in SOURCES:
        for path in ROOT.glob(pattern):
            if "__pycache__" not in path.parts and path.stat().st_mtime > built:
                pytest.skip(f"site/ is older than {path.relative_to(ROOT)}: run scripts/docs")
    return index.parent
