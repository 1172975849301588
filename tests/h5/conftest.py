"""What several of these test files use."""

from __future__ import annotations

import h5py
import pytest

from mt.aio.h5 import CreateFileH5


@pytest.fixture
def path(tmp_path):
    """A target that has content already."""
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["old"] = [1, 2]
    return path


@pytest.fixture(params=["with", "async with"])
def enter(request, mode):
    """Run a function inside the context: by `with` or `async with`, in every mode."""

    def enter_it(body, *args, **kwargs):
        async def statement(context_vars):
            if request.param == "with":
                with CreateFileH5(*args, **kwargs) as context:
                    body(context)
            else:
                async with CreateFileH5(*args, context_vars=context_vars, **kwargs) as context:
                    body(context)
            return context

        return mode.run(statement)

    return enter_it
