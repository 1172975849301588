"""Where the documentation is, and how an example is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


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
