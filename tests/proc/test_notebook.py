"""A real Jupyter kernel: the class in a cell, the send awaited in a cell, prints in the cell."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.slow

CELLS = [
    "from mt.aio.core import srun\nfrom mt.aio.proc import BgProcess\nOFFSET = 1",
    """
class Adder(BgProcess):
    def child_handle_message(self, msg):
        print("working on", msg)
        return msg + OFFSET
adder = Adder()
""",
    "await adder.send(1)",
    "import asyncio\nawait asyncio.gather(*[adder.send(n) for n in range(3)])",
    "srun(adder.send, 10)",
    """
import os
try:
    os.kill(adder.pid, 9)
    await adder.send(1)
except RuntimeError as error:
    print("SIGKILL" in str(error))
adder.restart()
await adder.send(20)
""",
    "adder.close()",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.timeout(120)
def test_in_a_kernel(tmp_path, monkeypatch):
    """All of it works as in a script, in the notebook's own loop."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    spec = tmp_path / "data" / "kernels" / "mine"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    # asyncio's debug mode says which steps took long, and ipykernel cannot do with it.
    calm = {"PYTHONASYNCIODEBUG": "", "PYTHONDEVMODE": ""}
    (spec / "kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "mine", "language": "python", "env": calm})
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    client = nbclient.NotebookClient(notebook, timeout=30, kernel_name="mine")
    asyncio.run(client.async_execute())

    def shown(number):
        outputs = notebook.cells[number].outputs
        return (
            "".join(output["text"] for output in outputs if output["output_type"] == "stream"),
            [o["data"]["text/plain"] for o in outputs if o["output_type"] == "execute_result"],
        )

    assert shown(2) == ("BgProcess (stdout): working on 1\n", ["2"])
    assert shown(3)[1] == ["[1, 2, 3]"]
    assert shown(4) == ("BgProcess (stdout): working on 10\n", ["11"])
    assert shown(5) == ("True\nBgProcess (stdout): working on 20\n", ["21"])
