"""The short pieces of code that stand on the pages themselves."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
from importlib import import_module
from pathlib import Path

import h5py
import pytest

from mt.aio import json_load, read_binary, write_binary
from mt.aio.core import srun
from mt.aio.h5 import CreateFileH5

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [block for block in BLOCK.findall(text) if "--8<--" not in block]


PAGES = sorted(
    page
    for path in (ROOT / "docs").rglob("*.md")
    if _blocks(page := str(path.relative_to(ROOT / "docs")))
)


def _run(source, names):
    """Run a block, as a notebook cell would."""
    code = compile(source, "<block>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)


@pytest.mark.parametrize("page", PAGES)
def test_it_is_python_and_its_imports_exist(page):
    """No block has a slip of the pen in it, and what it imports from mt.aio is there."""
    for block in _blocks(page):
        tree = compile(block, page, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mt.aio"):
                module = import_module(node.module)
                for name in node.names:
                    if not hasattr(module, name.name):
                        import_module(f"{node.module}.{name.name}")


def test_those_on_files(tmp_path, monkeypatch):
    """Each does what the text around it says."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("config.json").write_text('{"a": 1}')
    names = {"json_load": json_load}
    for block in _blocks("guides/files.md"):
        _run(block, names)
    assert names["context_vars"] == {"async": True, "durability": "none"}
    assert names["removed"] == []
    assert names["config"] == {"a": 1}
    assert json.loads(Path("state.json").read_text()) == {"runs": 1}


def test_the_one_on_context_vars(tmp_path):
    """The function copies a file."""
    (block,) = _blocks("concepts/context-vars.md")
    names = {"read_binary": read_binary, "write_binary": write_binary}
    _run(block, names)
    (tmp_path / "a").write_bytes(b"tea")
    srun(names["copy"], tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"tea"


def test_the_one_on_hdf5(tmp_path):
    """`run` takes a method of the handle."""
    (block,) = _blocks("guides/hdf5.md")

    async def body():
        async with CreateFileH5(tmp_path / "x.h5", context_vars={"async": True}) as f:
            code = compile(block, "<block>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            await eval(code, {"f": f})

    asyncio.run(body())
    with h5py.File(tmp_path / "x.h5") as file:
        assert "later" in file


@pytest.mark.slow
def test_those_on_testing(pytester):
    """The tests that the guide shows pass, with the function of the other guide."""
    example = (ROOT / "docs" / "examples" / "asyn_decorator.py").read_text(encoding="utf-8")
    pytester.makepyfile(shouting=example.split("\n\n\nwith ")[0])
    needed = "from mt.aio import read_text, write_text"
    pytester.makepyfile("\n".join([needed, *_blocks("guides/testing.md")]))
    command = ["-p", "mt.aio.core.pytest_plugin", "-p", "no:cacheprovider", "-q"]
    counts = pytester.runpytest_subprocess(*command).parseoutcomes()
    assert counts["passed"] >= 4
    assert not {"failed", "errors"} & {*counts}
