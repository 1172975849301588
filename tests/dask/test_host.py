"""What a DaskHost does by itself, and what it sends along; no cluster is needed."""

from __future__ import annotations

import importlib.util
import io
import pickle
import subprocess
import sys
import zipfile

import pytest

from mt.aio.dask import DaskHost
from mt.aio.dask._bundle import Shipped, bundle
from mt.aio.dask._shell import Raw, Shell, cooked, raw
from mt.aio.proc import BgProcess

ADDRESS = "tcp://127.0.0.1:9"


def test_distributed_is_not_imported_before_it_is_needed():
    """Making a host loads nothing of dask's."""
    program = (
        "import sys; from mt.aio.dask import DaskHost; DaskHost('tcp://x');"
        "print([m for m in ('dask', 'distributed', 'tornado') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"[]\n"


def test_without_distributed(monkeypatch):
    """The error says what to install, where the process is made."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "mt-aio\[dask\]"') as caught:
        BgProcess(host=DaskHost(ADDRESS))
    assert caught.value.name == "distributed"


def test_one_worker_or_several():
    """`workers` takes one or several; what is left out or empty is no condition."""
    assert DaskHost(ADDRESS, workers="a").workers == ["a"]
    assert DaskHost(ADDRESS, workers={"a"}).workers == ["a"]
    assert DaskHost(ADDRESS, workers=[], resources={}).workers is None


def test_modules_that_are_not_installed_go_along(tmp_path, monkeypatch):
    """A module of a user's own goes by value, one of the standard library's or ours does not."""
    (tmp_path / "users_own.py").write_text("class Mixin:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    from argparse import ArgumentParser

    import users_own

    class Child(BgProcess, users_own.Mixin, ArgumentParser):
        pass

    Child.__module__ = "__main__"
    assert DaskHost(ADDRESS).by_value(Child) == ["users_own"]


def test_the_shell_needs_nothing_of_ours(tmp_path):
    """Its pickle is loaded by an interpreter that has nothing of ours, and is the class."""
    file = tmp_path / "pickle"
    file.write_bytes(pickle.dumps(Shipped()))
    program = (
        "import pickle, sys; cls = pickle.load(open(sys.argv[1], 'rb'));"
        "print(cls.__name__, hasattr(cls(), 'exchange'), 'mt.aio' in sys.modules)"
    )
    command = [sys.executable, "-I", "-S", "-c", program, str(file)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout == "Shell True False\n"


def test_where_nothing_is_pickled():
    """In one process with the worker, what stands for the class makes the actor."""
    assert isinstance(Shipped()(), Shell)


def test_the_sources_come_before_what_is_installed(tmp_path):
    """What was sent along is found first; of another mt.aio, the names stay within reach."""
    package, archive = bundle()
    assert bundle()[0] == package
    sent, other = tmp_path / "sent", tmp_path / "other" / "mt" / "aio"
    (other / "proc").mkdir(parents=True)
    (other / "proc" / "__init__.py").write_text("raise ImportError('an old one')")
    (other / "__init__.py").write_text("theirs = 1")
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        opened.extractall(sent)
    program = (
        f"import sys; sys.path[:0] = [{str(sent)!r}, {str(tmp_path / 'other')!r}];"
        "import mt.aio, mt.aio.proc._serve; print(mt.aio.theirs, mt.aio.proc.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout == f"1 {sent}/mt/aio/proc/__init__.py\n"


@pytest.mark.parametrize("protocol", [4, 5])
def test_large_buffers(protocol):
    """They arrive as views that may be written to; small ones as bytes; unpickled ones as well."""
    large, small = bytearray(1 << 16), memoryview(b"small")
    wrapped = raw([large, small])
    assert [type(each) for each in wrapped] == [Raw, bytes]
    assert cooked(wrapped) == [large, b"small"]
    buffers = []
    keep = {"buffer_callback": buffers.append} if protocol == 5 else {}
    data = pickle.dumps(wrapped, protocol, **keep)
    one, two = pickle.loads(data, buffers=buffers)
    one[0] = 1
    assert (len(one), two, len(buffers)) == (1 << 16, b"small", protocol - 4)
