"""Paths at the door: what is accepted, and what a relative one means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mt.aio.fs._remote import refuse_url, remote_of

if TYPE_CHECKING:
    from mt.aio.fs._remote import Remote


def check_path(filepath: object, name: str = "filepath") -> str:
    """Give a path as a `str`.

    Args:
        filepath: what was given as the path; a `str` or an `os.PathLike` that stands for one
        name: what the caller calls the argument, for the error's text

    Returns:
        The path as it was given, neither resolved nor made absolute.

    Raises:
        TypeError: for anything else, `bytes` and descriptor numbers included
    """
    if isinstance(filepath, str):
        return filepath
    path = filepath.__fspath__() if isinstance(filepath, os.PathLike) else filepath
    if isinstance(path, str):
        return path
    cure = "; os.fsdecode() makes a str of bytes" if isinstance(path, bytes) else ""
    raise TypeError(f"{name} is a str or an os.PathLike of one, not {filepath!r}{cure}")


def absolute(filepath: str) -> str:
    """Anchor a relative path in the current folder, so that a later `os.chdir` cannot move it.

    Unlike `os.path.abspath` this leaves `..` alone, which the system resolves after following
    symbolic links. An empty path stays empty and is refused by the system.

    Raises:
        OSError: it is a URL of an object store; who takes one asks `remote_of` before
        ValueError: it was one, before pathlib
    """
    if filepath[:1] == os.sep == "/" or not filepath or os.path.isabs(filepath):
        return filepath  # the first test is the usual case, and quick
    if ":/" in filepath:
        refuse_url(filepath)
    return os.path.join(os.getcwd(), filepath)


def order_key(filepath: str) -> str:
    """Give the key by which operations on one file are put in order.

    Two spellings of a path give one key; two names of a file (links) do not.
    """
    if filepath[:1] == os.sep == "/":
        return os.path.normpath(filepath)  # all that the rest comes to, in a third of the time
    return os.path.normcase(os.path.abspath(filepath))


def place(filepath: str) -> tuple[str, Remote | None]:
    """Tell a path from a URL.

    Returns:
        The path made absolute, or the URL; what serves the URL, None for a path.
    """
    # The first test costs a path, which is the usual case, next to nothing.
    if "://" in filepath and (remote := remote_of(filepath)) is not None:
        return filepath, remote
    return absolute(filepath), None


def located(filepath: str) -> tuple[str, str, Remote | None]:
    """Tell a path from a URL, and give the key by which operations on it are put in order.

    Returns:
        The path or URL, as from `place`; the key; what serves the URL, None for a path.
    """
    path, remote = place(filepath)
    return path, order_key(path) if remote is None else path, remote
