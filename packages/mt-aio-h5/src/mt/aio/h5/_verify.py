"""Reading a finished file back before it is given its name."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.h5._explain import system_error_in
from mt.aio.h5._grid import blocks
from mt.aio.h5._read import read_dataset

if TYPE_CHECKING:
    import h5py

# So much of a dataset is held at once. Arbitrary.
_PIECE = 16 * 2**20


def verify_file(tmp_filepath: str, target: str) -> None:
    """Open a closed file anew and read every object, attribute and value in it.

    Raises:
        OSError: something in it cannot be read
    """
    import h5py

    at = "/"
    try:
        with h5py.File(tmp_filepath, "r") as file:
            names: list[str] = ["/"]
            file.visit(names.append)  # its return value, None, means: go on
            for at in names:
                _walk(file, tmp_filepath, at)
    except Exception as exc:
        text = f"Was not written: it could not be read back at {at!r} ({exc})"
        number = getattr(system_error_in(exc, target) or exc, "errno", None)
        raise OSError(number or errno.EIO, text, target) from exc


def _walk(file: h5py.File, path: str, name: str) -> None:
    import h5py

    check_cancelled()
    found = file[name]
    for attribute in found.attrs:
        found.attrs[attribute]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        return  # what is elsewhere is not this file's content
    if not found.shape:
        found[()]
        return
    for box in blocks(found.shape, found.chunks or (1,) * found.ndim, found.dtype.itemsize, _PIECE):
        check_cancelled()
        read_dataset(file, path, name, box)
