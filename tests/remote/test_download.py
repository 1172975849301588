"""HDF5 files of object stores, opened: brought here, and written back if they were changed."""

from __future__ import annotations

import errno
import os

import pytest

from mt.aio.core import srun
from mt.aio.fs import exists, read_binary, write_binary
from mt.aio.h5 import OpenFileH5, h5_load, h5_save

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def url(root):
    """The URL of an HDF5 file."""
    srun(h5_save, f"{root}/x.h5", {"x": [1, 2, 3]})
    return f"{root}/x.h5"


def test_load(mode, url):
    """A file is loaded, whole and in part."""
    assert mode.run(h5_load, url)["x"].tolist() == [1, 2, 3]
    assert mode.run(h5_load, url, {"x": slice(1)})["x"].tolist() == [1]


def test_open_to_read(mode, url):
    """A file is opened where the system keeps temporary ones."""

    async def body(context_vars):
        async with OpenFileH5(url, context_vars=context_vars) as f:
            assert os.stat(os.path.dirname(f.tmp_filepath)).st_mode & 0o777 == 0o700
            return (await f.read("x")).tolist()

    assert mode.run(body) == [1, 2, 3]
    if not mode.is_async:
        with OpenFileH5(url) as f:
            assert f.handle["x"][0] == 1


@pytest.mark.parametrize("how", ["r+", "a"])
def test_change(mode, url, how):
    """What is changed is written back when the context is left, and not before."""

    async def body(context_vars):
        async with OpenFileH5(url, how, context_vars) as f:
            await f.write("y", [4])
            assert sorted(await h5_load(url, context_vars=context_vars)) == ["x"]

    mode.run(body)
    assert sorted(srun(h5_load, url)) == ["x", "y"]


def test_create_by_appending(mode, root):
    """What is not there is made."""

    async def body(context_vars):
        async with OpenFileH5(f"{root}/new", "a", context_vars) as f:
            await f.write("y", [4])

    mode.run(body)
    assert srun(h5_load, f"{root}/new")["y"].tolist() == [4]


@pytest.mark.parametrize("how", ["r+", "a"])
def test_changed_by_somebody_else(mode, url, how):
    """Who is second to change a file, or to make it, gets an error, and the first one's stays."""
    new = f"{url}{'.new' if how == 'a' else ''}"

    async def body(context_vars):
        async with OpenFileH5(new, how, context_vars) as f:
            await f.write("y", [4])
            srun(write_binary, new, b"first")

    with pytest.raises(OSError, match="somebody else") as raised:
        mode.run(body)
    assert (raised.value.errno, raised.value.filename) == (errno.ESTALE, new)
    assert srun(read_binary, new) == b"first"


def test_body_raises(mode, url):
    """If the body raises, the object stays as it was."""
    before = srun(read_binary, url)

    async def body(context_vars):
        async with OpenFileH5(url, "r+", context_vars) as f:
            f.handle["y"] = 1
            raise KeyError

    with pytest.raises(KeyError):
        mode.run(body)
    assert srun(read_binary, url) == before


@pytest.mark.parametrize("how", ["r", "r+"])
def test_missing(mode, root, how):
    """A missing file is told by its URL."""

    async def body(context_vars):
        async with OpenFileH5(f"{root}/none", how, context_vars):
            pass

    for func, args in ((body, []), (h5_load, [f"{root}/none"])):
        with pytest.raises(FileNotFoundError) as raised:
            mode.run(func, *args)
        assert raised.value.filename == f"{root}/none"
    assert not srun(exists, f"{root}/none")


def test_no_hdf5(mode, root):
    """What is no HDF5 file is told by its URL."""
    srun(write_binary, f"{root}/x", b"text")

    async def body(context_vars):
        async with OpenFileH5(f"{root}/x", context_vars=context_vars):
            pass

    for func, args in ((body, []), (h5_load, [f"{root}/x"])):
        with pytest.raises(OSError, match="no HDF5 file") as raised:
            mode.run(func, *args)
        assert raised.value.filename == f"{root}/x"
        assert "here" not in str(raised.value)
