"""Where a URL leads: a store, and the key of an object in it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from mt.aio.remote._store import store_of

if TYPE_CHECKING:
    from obstore.store import ObjectStore

READ_ONLY = frozenset({"http", "https"})


class Place(NamedTuple):
    """An object, be it there or not.

    Attributes:
        url: as it was given.
        scheme: in lower case.
        store: the store that the URL leads to.
        key: the object's name there.
        is_folder: whether the URL ends with a slash, or has no key.
    """

    url: str
    scheme: str
    store: ObjectStore
    key: str
    is_folder: bool = False


def locate(url: str, *, folder: bool = False, write: bool = False) -> Place:
    """Find the store and the key that a URL stands for.

    Args:
        url: the URL; the key is what follows the bucket, taken as it stands: no `%20` is
            decoded, and `#` and `?` mean nothing. Only in `http` and `https` they do.
        folder: whether a folder will do.
        write: whether the object is to be changed.

    Raises:
        IsADirectoryError: the URL ends with a slash, or has no key.
        ValueError: there is no such key, or the store cannot be made as it is configured.
        OSError: the object is to be changed, and the store is for reading only.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme in READ_ONLY:
        if write:
            text = "Is read only: no HTTP server promises whole writes; name the store itself"
            raise OSError(errno.EROFS, text, shown(url))
        rest = rest.partition("#")[0]
        if "?" in rest or rest.endswith("/"):  # a signed URL, a page: it means the whole of itself
            return Place(url, scheme, store_of(scheme, rest, url), "")
    root, _, key = rest.partition("/")
    if not root:
        raise ValueError(f"no bucket in {shown(url)!r}: write scheme://bucket/key")
    is_folder = scheme not in READ_ONLY and (not key or key.endswith("/"))
    if is_folder and not folder:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), shown(url))
    parts = key.removesuffix("/").split("/") if key else []
    if not {"", ".", ".."}.isdisjoint(parts) or not key.isprintable():
        raise ValueError(
            f"no key in {shown(url)!r}: its parts are neither empty nor '.' nor '..', "
            "and every character is printable"
        )
    return Place(url, scheme, store_of(scheme, root, url), key, is_folder)


def check(url: str) -> None:
    """Say what is wrong with a URL that is to be written to, as far as can be told from here.

    Raises:
        IsADirectoryError, ValueError, OSError: as for `write`
    """
    locate(url, write=True)


def shown(url: str) -> str:
    """Give a URL for others to see: without a password, and without the query.

    Args:
        url: any; only `http` and `https` have the two.
    """
    scheme, mark, rest = url.partition("://")
    if scheme.lower() not in READ_ONLY:
        return url
    rest = rest.partition("?")[0]
    root, slash, key = rest.partition("/")
    return scheme + mark + root.rpartition("@")[2] + slash + key
