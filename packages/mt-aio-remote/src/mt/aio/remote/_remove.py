"""Removing objects."""

from __future__ import annotations

import errno
import os

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.remote._ask import ask_here
from mt.aio.remote._place import Place, locate, shown


def remove(url: str, tree: bool = False, missing_ok: bool = False) -> None:
    """Remove an object, blocking; with `tree` also all below it.

    Args:
        url: where it is.
        tree: remove the objects whose keys begin with this one and a slash, too. (Not an empty
            one whose key ends with the slash: obstore has no name for it.)
        missing_ok: that there is nothing to remove is no error.

    Raises:
        FileNotFoundError: there is nothing, and `missing_ok` is not set. Stores do not tell, so
            it is looked for before: of two who remove it at once, both may succeed.
        IsADirectoryError: the URL ends with a slash, or has no key, and `tree` is not set.
        OSError: as for `read`; some of a tree's objects may be gone.
        ValueError: a whole bucket is to be removed.
    """
    import obstore

    place = locate(url, folder=tree, write=True)
    if tree:
        _remove_tree(place, missing_ok)
        return
    if not missing_ok:
        ask_here(obstore.head, place.store, place.key, url=url)
    check_cancelled()
    try:
        ask_here(obstore.delete, place.store, place.key, url=url)
    except FileNotFoundError:  # which some stores do tell
        if not missing_ok:
            raise


def _remove_tree(place: Place, missing_ok: bool) -> None:
    import obstore

    if not place.key:
        raise ValueError(f"{shown(place.url)!r} is a whole bucket, which is never removed")
    found = obstore.list(place.store, place.key.rstrip("/") + "/")
    keys: list[str] = []
    while piece := ask_here(next, found, None, url=place.url):
        check_cancelled()
        keys += [each["path"] for each in piece]
    if not place.is_folder:
        try:
            ask_here(obstore.head, place.store, place.key, url=place.url)
            keys.append(place.key)
        except FileNotFoundError:
            pass
    if not keys and not missing_ok:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), shown(place.url))
    for start in range(0, len(keys), 1000):  # as many as S3 takes at a time
        check_cancelled()
        ask_here(obstore.delete, place.store, keys[start : start + 1000], url=place.url)
