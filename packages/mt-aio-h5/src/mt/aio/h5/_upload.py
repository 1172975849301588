"""An HDF5 file in the making that is to end in an object store."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from mt.aio.core.lowlevel import offload
from mt.aio.h5._draft import Draft

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs.lowlevel import Remote
    from mt.aio.h5._draft import Plan


class Upload(Draft):
    """A draft in a temporary folder of this machine, which is uploaded when it is finished.

    HDF5 goes back and forth in a file, which no object store can do. The folder is readable by
    nobody else, and is removed whatever happens.
    """

    def __init__(self, url: str, plan: Plan, remote: Remote) -> None:
        import tempfile

        self._url = url
        self._remote = remote
        self._folder = tempfile.gettempdir()
        super().__init__(os.path.join(self._folder, "draft.h5"), plan)
        self._plan = plan._replace(file_mode=0o600, durability="none")

    def open(self) -> None:
        """Create the folder and the temporary file, and open it."""
        import tempfile

        self._remote.check(self._url)  # now, not when the body has done all its work
        self._folder = tempfile.mkdtemp(prefix="mt-aio-h5-")
        self._filepath = os.path.join(self._folder, "draft.h5")
        try:
            super().open()
        except BaseException:
            self.remove()
            raise

    def abandon(self) -> None:
        """Close the file and remove it."""
        try:
            super().abandon()
        finally:
            self.remove()

    async def deliver(self, context_vars: ContextVars) -> None:
        """Upload the finished file where the mode says.

        Not in the lane of HDF5, which an upload would keep for long.
        """
        await offload(self.deliver_here, context_vars=context_vars, order=self._url, network=True)

    def deliver_here(self) -> None:
        """Upload the finished file, blocking."""
        self._remote.upload(self._filepath, self._url)

    def remove(self) -> None:
        """Remove the temporary folder, if it is there."""
        import shutil

        with suppress(FileNotFoundError):
            shutil.rmtree(self._folder)
