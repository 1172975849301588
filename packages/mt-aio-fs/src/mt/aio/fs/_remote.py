"""The door to object stores.

A URL is recognised here, and handed to mt-aio-remote, which is looked for when the first one
comes: nothing here depends on it. Whoever can serve a URL asks `place` or `located` of `_path`. All
others get their path from `absolute`, which refuses a URL.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from io import RawIOBase

    from mt.aio.core.lowlevel import ContextVars

SCHEMES = frozenset({"az", "gs", "http", "https", "memory", "s3"})

_MODULE = "mt.aio.remote.lowlevel"


class Remote(Protocol):
    """What mt-aio-remote does for a URL; see `mt.aio.remote.lowlevel`."""

    async def read(self, url: str, size: int | None, *, context_vars: ContextVars) -> bytes:
        """Read an object."""

    async def exists(self, url: str, *, context_vars: ContextVars) -> bool:
        """Tell whether there is one."""

    async def status(self, url: str, *, context_vars: ContextVars) -> os.stat_result:
        """Look up its size and time."""

    async def names(self, url: str, *, context_vars: ContextVars) -> tuple[list[str], list[str]]:
        """List the folders and the objects in a folder."""

    def shown(self, url: str) -> str:
        """Give it for others to see."""

    def check(self, url: str) -> None:
        """Say what is wrong with a URL to be written to."""

    def write(  # noqa: PLR0917 - the arguments of `write_file`
        self,
        url: str,
        data: bytes | memoryview,
        file_mode: int | None,
        durability: str,
        make_dirs: bool,
        exclusive: bool,
    ) -> int:
        """Write one, blocking."""

    def upload(self, filepath: str, url: str, exclusive: bool = False) -> int:
        """Write one that a local file holds, blocking."""

    def download(self, url: str, sink: Callable[[memoryview], object]) -> dict[str, str]:
        """Read one piece by piece, blocking, and give its version."""

    def copy(self, url: str, new_url: str, exclusive: bool) -> int:
        """Copy one to another URL, blocking."""

    def read_version(self, url: str) -> tuple[bytes, dict[str, str]]:
        """Read one and learn its version, blocking."""

    def replace(self, url: str, data: bytes, version: dict[str, str] | None) -> None:
        """Write one if it is still that version, blocking."""

    def open_object(self, url: str) -> RawIOBase:
        """Open one for reading, blocking."""

    def remove(self, url: str, tree: bool, missing_ok: bool) -> None:
        """Remove one, blocking."""


def remote_of(path: str) -> Remote | None:
    """Give what serves a URL; None for a local path.

    Args:
        path: a path or URL, as `check_path` gives it.

    Raises:
        ModuleNotFoundError: it is a URL, and mt-aio-remote is not installed.
    """
    scheme, mark, _ = path.partition("://")
    if not mark or scheme.lower() not in SCHEMES:
        return None
    from importlib import import_module

    try:
        return import_module(_MODULE)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{_MODULE}.".startswith(f"{exc.name}."):
            raise  # something that the installed piece needs: its own affair
    raise ModuleNotFoundError(
        f'{scheme}:// needs mt-aio-remote: pip install "mt-aio[remote]"', name="mt.aio.remote"
    )


def refuse_url(path: str) -> None:
    """Refuse a URL where a local path is needed, and one that has lost a slash.

    Raises:
        OSError: it is a URL
        ValueError: it was one
    """
    scheme, _, rest = path.partition(":/")
    if scheme.lower() not in SCHEMES:
        return
    if rest.startswith("/"):
        text = "This takes a local path, not a URL"
        rest = rest[1:]
        if scheme.lower() in {"http", "https"}:  # no password and no signature in the error
            root, slash, key = rest.partition("?")[0].partition("/")
            rest = root.rpartition("@")[2] + slash + key
        raise OSError(errno.ENOTSUP, text, f"{scheme}://{rest}")
    raise ValueError(f"{scheme}:/ with one slash is what pathlib makes of a URL: give it as a str")
