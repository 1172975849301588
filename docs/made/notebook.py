"""The notebook of docs/examples as a part of a page, with the outputs that it keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook.ipynb"


def cells() -> str:
    """Show each cell, and what it prints."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return "\n".join(line for cell in notebook["cells"] for line in _cell(cell))


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield f"{source}\n"
        return
    yield f"```python\n{source}\n```\n"
    if shown := output(cell["outputs"]):
        yield f"```\n{shown}\n```\n"


def output(outputs: list[dict[str, Any]]) -> str:
    """Give what a cell prints, and its value."""
    texts = [o["text"] if o["output_type"] == "stream" else _value(o) for o in outputs]
    return "\n".join("".join(text).rstrip("\n") for text in texts if text)


def _value(outcome: dict[str, Any]) -> str:
    return "".join(outcome["data"]["text/plain"])
