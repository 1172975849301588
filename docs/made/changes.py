"""The part of the changelog that no release has gathered yet, from changes/."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "changes"


def waiting() -> str:
    """List the fragments as a release will, by kind."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    parts = []
    for kind in tool["towncrier"]["type"]:
        found = sorted(FOLDER.glob(f"*.{kind['directory']}.md"))
        if found:
            texts = (path.read_text(encoding="utf-8").strip() for path in found)
            parts.append("\n".join([f"### {kind['name']}\n", *(f"- {text}" for text in texts)]))
    return "\n\n".join(["## Not released yet", *parts]) if parts else ""
