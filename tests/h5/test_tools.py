"""Files that we make, read by the tools of the HDF Group."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from mt.aio.h5 import CreateFileH5

pytestmark = pytest.mark.slow


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="needs hdf5-tools")
def test_h5dump_and_h5ls(mode, tmp_path):
    """The tools of the HDF Group, which know nothing of Python, read what we write."""
    data = np.arange(3000, dtype="i4").reshape(60, 50)

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "a.h5", context_vars=context_vars) as f:
            await f.write("g/x", data, chunks=(32, 32), compression="gzip", shuffle=True)

    mode.run(body)
    path = str(tmp_path / "a.h5")
    raw = str(tmp_path / "raw")
    subprocess.run(
        ["h5dump", "-d", "/g/x", "-b", "LE", "-o", raw, path], check=True, capture_output=True
    )
    assert (np.fromfile(raw, "<i4").reshape(60, 50) == data).all()
    listed = subprocess.run(["h5ls", "-rv", path], check=True, capture_output=True, text=True)
    assert "shuffle" in listed.stdout
    assert "deflate" in listed.stdout
