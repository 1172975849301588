"""The notebook of the guide runs in a real kernel, and gives the outputs that the page shows."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[2] / "docs" / "examples" / "notebook.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_notebook(tmp_path, monkeypatch, made):
    """Each cell runs, and its output is the one that is kept."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    spec = tmp_path / "data" / "kernels" / "mine"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "mine", "language": "python"})
    )
    kept = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(run, timeout=30, kernel_name="mine", resources=folder)
    asyncio.run(client.async_execute())
    for was, now in zip(kept.cells, run.cells, strict=True):
        if was.cell_type == "code":
            assert made.notebook.output(now.outputs) == made.notebook.output(was.outputs)
