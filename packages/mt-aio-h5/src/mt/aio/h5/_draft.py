"""An HDF5 file in the making: plain blocking code, run wherever the mode says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.fs.lowlevel import Replacement, absolute, make_folders, resolve_target
from mt.aio.h5._close import close_file

if TYPE_CHECKING:
    import h5py

    from mt.aio.fs.lowlevel import Durability


class Draft:
    """A temporary HDF5 file that becomes the target, or is thrown away.

    `open` comes first; `finish` or `abandon` ends it. Whatever `open` and `finish` raise, nothing
    is left behind.
    """

    def __init__(self, filepath: str, file_mode: int | None, durability: Durability) -> None:
        self._filepath = absolute(filepath)
        self._file_mode = file_mode
        self._durability = durability
        self.is_open = False
        self.handle: h5py.File
        self._new: Replacement

    @property
    def tmp_filepath(self) -> str:
        """The path of the temporary file."""
        return self._new.tmp_filepath

    def open(self) -> None:
        """Create the folders and the temporary file, and open it."""
        import h5py

        check_cancelled()
        target = resolve_target(self._filepath)
        if target.status is None:
            make_folders(os.path.dirname(target.filepath), self._durability)
        self._new = Replacement(target, self._file_mode)
        try:
            self._new.close()  # HDF5 opens it by its name
            self.handle = h5py.File(self._new.tmp_filepath, "w")
        except BaseException:
            self._new.discard()
            raise
        self.is_open = True

    def finish(self) -> None:
        """Close the file and give it the target's name."""
        try:
            self._close()
            self._new.publish(self._durability)
        finally:
            self._new.discard()

    def abandon(self) -> None:
        """Close the file and remove it."""
        try:
            self._close()
        except Exception:  # noqa: BLE001, S110  # it is thrown away: what it lacks is no news
            pass
        finally:
            self._new.discard()

    def _close(self) -> None:
        self.is_open = False  # whatever happens now, it is not to be tried twice
        close_file(self.handle)
