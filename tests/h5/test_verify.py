"""verify=True: nothing is published that cannot be read back."""

from __future__ import annotations

import errno
import os

import h5py
import numpy as np
import pytest

from mt.aio.h5 import CreateFileH5, OpenFileH5


def test_sound_file(mode, path, names):
    """All kinds of objects are walked through, and the file is published."""

    async def body(context_vars):
        async with CreateFileH5(path, context_vars=context_vars, verify=True) as f:
            await f.write("g/x", np.arange(10_000), compression="gzip", attrs={"a": "b"})
            await f.write("text", ["a", "b"])
            await f.write("scalar", 3)
            await f.write("empty", h5py.Empty("f4"))
            await f.write("none", np.zeros((0, 2)))
            f.handle["soft"] = h5py.SoftLink("/nowhere")
            f.handle["external"] = h5py.ExternalLink("nowhere.h5", "/x")
            f.handle["type"] = np.dtype("i4")
            f.handle["again"] = f.handle["g"]

    mode.run(body)
    assert "g" in names(path)


@pytest.mark.parametrize("where", ["data", "head", "cut"])
def test_damaged_file(mode, path, where, names):
    """What became of it on the way to the disk is noticed, and the target stays."""

    def damage(f):
        f.handle.create_dataset("x", data=np.random.default_rng(0).random(9999), compression="gzip")
        at = f.handle["x"].id.get_chunk_info(0).byte_offset
        f.handle.close()
        if where == "cut":
            os.truncate(f.tmp_filepath, at)
            return
        with open(f.tmp_filepath, "r+b") as file:
            file.seek(at + 50 if where == "data" else 0)
            file.write(bytes(200))

    async def body(context_vars):
        async with CreateFileH5(path, context_vars=context_vars, verify=True) as f:
            await f.run(damage, f)

    with pytest.raises(OSError, match="could not be read back") as caught:
        mode.run(body)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))
    assert os.listdir(path.parent) == ["file.h5"]
    assert names(path) == ["old"]


def test_changed_file(mode, path, names):
    """OpenFileH5 can do it, too."""

    async def body(context_vars):
        async with OpenFileH5(path, "a", context_vars, verify=True) as f:
            await f.write("new", [1])

    mode.run(body)
    assert names(path) == ["new", "old"]
