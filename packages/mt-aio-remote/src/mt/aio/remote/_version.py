"""Versions of objects: replacing one on condition that nobody else has."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, TypeAlias

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.remote._ask import ask_here
from mt.aio.remote._place import locate, shown
from mt.aio.remote._write import check_one_request

if TYPE_CHECKING:
    from collections.abc import Mapping

Version: TypeAlias = dict[str, str]
"""What a store calls a version: its entity tag, or its own number, or both."""


def version_of(meta: Mapping[str, Any]) -> Version:
    """Give the version that an answer is about; empty if the server does not say."""
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name)}


def read_version(url: str) -> tuple[bytes, Version]:
    """Read an object and learn its version, blocking.

    Args:
        url: where it is.

    Returns:
        The content, and its version.

    Raises:
        OSError: as for `read`.
    """
    import obstore

    place = locate(url)
    got = ask_here(obstore.get, place.store, place.key, url=url)
    return ask_here(got.bytes, url=url).to_bytes(), version_of(got.meta)


def replace(url: str, data: bytes, version: Version | None) -> None:
    """Write an object on condition that it is still the one that was read, blocking.

    The store decides, so it is safe among all tasks, threads, processes and machines.

    Args:
        url: where to put it.
        data: the content, which is sent in one request.
        version: that which it must have; None if there must be no object.

    Raises:
        OSError: errno `ESTALE`: somebody else has written or removed it meanwhile, and it stays
            as they made it; errno `ENOTSUP`: the store gives no versions; as for `write`.
    """
    import obstore

    place = locate(url, write=True)
    check_one_request(place, len(data))
    if version is not None and not version:
        raise OSError(errno.ENOTSUP, "This store gives objects no versions", shown(url))
    check_cancelled()
    options = {"mode": "create" if version is None else version, "use_multipart": False}
    try:
        ask_here(obstore.put, place.store, place.key, data, url=url, **options)
    except FileExistsError:
        text = "Was changed by somebody else meanwhile, and is left as they made it"
        raise OSError(errno.ESTALE, text, shown(url)) from None
