"""CreateFileH5 when a call of the system, or of HDF5, fails."""

from __future__ import annotations

import os

import h5py
import pytest

from mt.aio.h5 import CreateFileH5


async def _write(path, context_vars, *, fail):
    async with CreateFileH5(path, context_vars=context_vars) as context:
        context.handle["new"] = [3]
        if fail:
            raise LookupError


@pytest.mark.parametrize("what", ["fsync", "replace", "fchmod"])
def test_a_system_call_fails(mode, path, monkeypatch, what, names):
    """Errors while closing and publishing are raised; the target stays."""

    async def body(context_vars):
        async with CreateFileH5(path, context_vars=context_vars) as context:
            context.handle["new"] = [3]

            def fail(*args):
                raise OSError(5, "injected")

            monkeypatch.setattr(os, what, fail)

    with pytest.raises(OSError, match="injected"):
        mode.run(body)
    monkeypatch.undo()
    assert os.listdir(path.parent) == ["file.h5"]
    assert names(path) == ["old"]


def test_h5py_cannot_open(mode, path, monkeypatch):
    """If HDF5 fails to open the temporary file, that is removed."""

    def fail(*args, **kwargs):
        raise OSError(5, "injected")

    monkeypatch.setattr(h5py, "File", fail)
    with pytest.raises(OSError, match="injected"):
        mode.run(_write, path, fail=False)
    assert os.listdir(path.parent) == ["file.h5"]
