"""HDF5 files of object stores.

HDF5 goes back and forth in a file, which no object store can do. So the work is done on a file in
a temporary folder of this machine, which is readable by nobody else and removed whatever happens.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from mt.aio.core.lowlevel import offload
from mt.aio.h5._draft import Draft, Work
from mt.aio.h5._lane import in_lane
from mt.aio.h5._open import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs.lowlevel import Remote
    from mt.aio.h5._draft import Plan

T = TypeVar("T")

_NAME = "draft.h5"


class Far(Work):
    """What all of them have: a folder, and the ways there and back.

    The ways are not in the lane of HDF5, which they would keep for long.
    """

    def __init__(self, url: str, remote: Remote) -> None:
        self._url = url
        self._remote = remote
        self._folder = ""

    def make_folder(self) -> str:
        """Create the folder, and give the file's path."""
        self._folder = tempfile.mkdtemp(prefix="mt-aio-h5-")
        return os.path.join(self._folder, _NAME)

    def download(self, filepath: str) -> dict[str, str]:
        """Bring the object here, and give its version."""
        with open(filepath, "xb", buffering=0) as file:
            return self._remote.download(self._url, _all_to(file.write))

    async def fetch(self, context_vars: ContextVars) -> None:
        """Bring the object here where the mode says."""
        await offload(self.fetch_here, context_vars=context_vars, network=True)

    async def deliver(self, context_vars: ContextVars) -> None:
        """Upload the finished file where the mode says."""
        await offload(self.deliver_here, context_vars=context_vars, order=self._url, network=True)

    def remove(self) -> None:
        """Remove the temporary folder, if it is there."""
        import shutil

        if self._folder:
            with suppress(FileNotFoundError):
                shutil.rmtree(self._folder)


class Fetched(Far, Reader):
    """An object that is open for reading."""

    def __init__(self, url: str, remote: Remote, *, locking: bool | None = None) -> None:
        Far.__init__(self, url, remote)
        Reader.__init__(self, os.path.join(tempfile.gettempdir(), _NAME), locking=locking)

    def fetch_here(self) -> None:
        """Bring the object here, blocking."""
        self.tmp_filepath = self.make_folder()
        self.download(self.tmp_filepath)

    async def deliver(self, context_vars: ContextVars) -> None:
        """Nothing has been changed."""

    def open(self) -> None:
        """Open the file."""
        with self._named():
            super().open()

    async def used(self, job: Callable[[str], T], context_vars: ContextVars) -> T:
        """Do something with the closed file where the mode says, and remove it."""
        try:
            await self.fetch(context_vars)
            with self._named():
                return await in_lane(job, self.tmp_filepath, context_vars=context_vars)
        finally:
            self.remove()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Give errors the name that the caller knows."""
        try:
            yield
        except OSError as exc:
            exc.filename = self._remote.shown(self._url)
            raise


class Upload(Far, Draft):
    """A file in the making, which is uploaded when it is finished."""

    def __init__(self, url: str, plan: Plan, remote: Remote) -> None:
        Far.__init__(self, url, remote)
        Draft.__init__(self, os.path.join(tempfile.gettempdir(), _NAME), plan)
        self._plan = plan._replace(file_mode=0o600, durability="none")

    def fetch_here(self) -> None:
        """Create the folder, blocking."""
        self._remote.check(self._url)  # now, not when the body has done all its work
        self._filepath = self.make_folder()

    def deliver_here(self) -> None:
        """Upload the finished file, blocking."""
        self._remote.upload(self._filepath, self._url)


class Revision(Upload):
    """An object that is being changed, which is replaced unless somebody else has done so."""

    _version: dict[str, str] | None = None

    def fetch_here(self) -> None:
        """Bring the object here, blocking."""
        super().fetch_here()
        try:
            self._version = self.download(self._filepath)
        except FileNotFoundError:
            os.unlink(self._filepath)
            if self._plan.base == "must":
                raise

    def deliver_here(self) -> None:
        """Replace the object, blocking."""
        with open(self._filepath, "rb") as file:
            self._remote.replace(self._url, file.read(), self._version)


def _all_to(write: Callable[[memoryview], int | None]) -> Callable[[memoryview], None]:
    """Make a function that writes a whole piece to an unbuffered file."""

    def sink(piece: memoryview) -> None:
        while piece:
            piece = piece[write(piece) or 0 :]

    return sink
