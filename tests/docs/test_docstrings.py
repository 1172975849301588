"""The examples in the docstrings, which the reference shows: each runs by itself."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module

import pytest

PLACES = (
    *("core", "core.lowlevel", "core.pytest_plugin", "fs", "fs.lowlevel", "h5", "proc"),
    *("proc.lowlevel", "manager", "remote", "remote.lowlevel", "dask"),
)


def _examples():
    """Walk the public names, and the public members of public classes."""
    found = {}
    for place in PLACES:
        module = import_module(f"mt.aio.{place}")
        for name in module.__all__:
            thing = getattr(module, name)
            members = {name: thing}
            if inspect.isclass(thing):
                public = [key for key in vars(thing) if not key.startswith("_")]
                members |= {f"{name}.{key}": getattr(thing, key) for key in public}
            for key, member in members.items():
                text = getattr(member, "__doc__", None) or ""
                if ">>>" in text:
                    found[f"{place}.{key}"] = text
    return found


EXAMPLES = _examples()


def test_the_walk_finds_them():
    """Functions, classes and methods are among them."""
    assert {"core.srun", "manager.AprocManager", "manager.AprocManager.spawn"} <= {*EXAMPLES}
    assert len(EXAMPLES) > 15


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example(name, tmp_path, monkeypatch):
    """It imports what it uses, and gives what it says."""
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(EXAMPLES[name], {}, name, name, 0)
    told = []
    doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert not told, "".join(told)
