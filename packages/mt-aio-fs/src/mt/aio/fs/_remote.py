"""The door to object stores.

A URL is recognised here, and handed to mt-aio-remote, which is looked for when the first one
comes: nothing here depends on it. Whoever can serve a URL asks

    if "://" in path and (remote := remote_of(path)) is not None:

before anything else, as that test costs a local path next to nothing. All others get their path
from `absolute`, which refuses a URL.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os

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

    def upload(self, filepath: str, url: str) -> int:
        """Write one that a local file holds, blocking."""

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
