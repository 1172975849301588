"""CreateFileH5, given a URL: made here, and uploaded when it is complete."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile

import h5py
import numpy as np
import pytest

from mt.aio.core import srun
from mt.aio.fs import exists, read_binary, write_binary
from mt.aio.h5 import CreateFileH5, h5_save
from mt.aio.remote import _write

pytestmark = pytest.mark.usefixtures("here")


def _load(url):
    with h5py.File(io.BytesIO(srun(read_binary, url)), "r") as file:
        return {name: file[name][()].tolist() for name in file}


async def _create(url, context_vars, **options):
    async with CreateFileH5(url, context_vars=context_vars, **options) as f:
        await f.run(f.handle.create_dataset, "x", data=[1, 2])


def test_create(mode, root, here):
    """The object is there when the context has been left, and nothing is left behind."""
    url = f"{root}/x.h5"

    async def body(context_vars):
        async with CreateFileH5(url, context_vars=context_vars) as f:
            f.handle["x"] = [1, 2]
            assert f.tmp_filepath.startswith(str(here))
            assert os.stat(os.path.dirname(f.tmp_filepath)).st_mode & 0o777 == 0o700
            assert not await exists(url, context_vars=context_vars)

    mode.run(body)
    assert _load(url) == {"x": [1, 2]}


def test_with(root):
    """A plain `with` does the same."""
    for number in range(2):  # an existing object is replaced
        with CreateFileH5(f"{root}/x.h5", verify=True) as f:
            f.handle["x"] = number
    assert _load(f"{root}/x.h5") == {"x": 1}


def test_in_one_line(mode, root):
    """`h5_save` takes a URL, too."""
    mode.run(h5_save, f"{root}/x.h5", {"x": np.arange(3)})
    assert _load(f"{root}/x.h5") == {"x": [0, 1, 2]}


def test_in_parts(mode, root):
    """A large file is uploaded in parts, none of which is lost."""
    data = np.random.default_rng(1).integers(0, 256, 2 * _write.PART + 7, dtype="u1")
    mode.run(h5_save, f"{root}/x.h5", {"x": data})
    with h5py.File(io.BytesIO(srun(read_binary, f"{root}/x.h5")), "r") as file:
        assert np.array_equal(file["x"][()], data)


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt])
def test_body_raises(mode, root, kind):
    """If the body raises, the object is as it was."""
    url = f"{root}/x.h5"
    srun(write_binary, url, b"old")

    async def body(context_vars):
        async with CreateFileH5(url, context_vars=context_vars) as f:
            f.handle["x"] = 1
            raise kind

    with pytest.raises(kind):
        mode.run(body)
    with pytest.raises(kind), CreateFileH5(url):
        raise kind
    assert srun(read_binary, url) == b"old"


def test_upload_fails(mode, dead_link):
    """If the store cannot be reached, the error says so, and the temporary folder is gone."""
    from mt.aio import remote

    remote.configure("s3://gone", **dead_link.options(), retry_config={"max_retries": 0})
    with pytest.raises(ConnectionError) as raised:
        mode.run(_create, "s3://gone/x.h5")
    assert raised.value.filename == "s3://gone/x.h5"
    with pytest.raises(ConnectionError), CreateFileH5("s3://gone/x.h5"):
        pass
    remote.configure("s3://gone")


def test_finishing_fails(mode, root, monkeypatch):
    """If the file cannot be finished, nothing is uploaded."""
    from mt.aio.h5 import _verify

    def fail(*args):
        raise OSError("not as it was written")

    monkeypatch.setattr(_verify, "verify_file", fail)
    with pytest.raises(OSError, match="not as it was written"):
        mode.run(_create, f"{root}/x.h5", verify=True)
    assert not srun(exists, f"{root}/x.h5")


def test_opening_fails(mode, root, monkeypatch):
    """If the temporary file cannot be made, its folder is gone."""
    monkeypatch.setattr(h5py, "File", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mode.run(_create, f"{root}/x.h5")
    assert not srun(exists, f"{root}/x.h5")


@pytest.mark.slow
def test_cancelled_at_every_step(async_mode, root):
    """Wherever it is cancelled, the object is whole or not there, and nothing is left behind."""
    url = f"{root}/x.h5"

    async def body(context_vars):
        for steps in range(0, 60, 4):
            task = asyncio.create_task(_create(url, context_vars))
            for _ in range(steps):
                await asyncio.sleep(0.0005)
            task.cancel()
            ended = (await asyncio.gather(task, return_exceptions=True))[0]
            assert ended is None or isinstance(ended, asyncio.CancelledError)
            assert os.listdir(tempfile.gettempdir()) == []

    async_mode.run(body)
    if srun(exists, url):
        assert _load(url) == {"x": [1, 2]}


@pytest.mark.parametrize(
    ("url", "kind"),
    [("memory://b/", IsADirectoryError), ("http://h/x", OSError), ("s3://b//x", ValueError)],
)
def test_wrong_url(mode, url, kind):
    """A URL that nothing can be written to is refused when the context is entered."""
    entered = []

    async def body(context_vars):
        async with CreateFileH5(url, context_vars=context_vars):
            entered.append(None)

    with pytest.raises(kind):
        mode.run(body)
    assert not entered
