"""Pickling for the other side: plain pickle where it will do, cloudpickle where it will not.

Plain pickle names classes and functions by module. That is fast, but no good for what only this
process can import: `__main__`, and modules that its import system made up (a test runner's, say).
Those are given to cloudpickle, which sends the code itself.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock  # threading would have to be imported in the child

from mt.aio.proc._frames import LARGE

try:  # what is behind `pickle`, without all that it imports
    import _pickle as pickle
except ImportError:  # not CPython
    import pickle  # type: ignore[no-redef]  # the same to us

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from mt.aio.proc._frames import Buffer

_registering = allocate_lock()


class _Plain:
    """Bytes as a message: pickled beside the stream, where pickle would copy them into it."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data

    def __reduce__(self) -> tuple[type, tuple[pickle.PickleBuffer]]:
        """Become plain bytes again on the other side."""
        return type(self._data), (pickle.PickleBuffer(self._data),)


def dumps(obj: object, by_value: Iterable[str] = (), *, in_band: bool = False) -> list[Buffer]:
    """Pickle an object into segments: the pickle, then its large buffers as they lie in memory.

    Args:
        obj: what to pickle.
        by_value: modules, besides `__main__`, that the other side cannot import.
        in_band: leave large buffers in the pickle, so that there is one segment.

    Raises:
        Exception: whatever pickling raises for what cannot be pickled; often a TypeError.
    """
    buffers: list[Buffer] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        """Take large contiguous buffers out of the pickle; leave the rest in it."""
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if in_band or raw.nbytes < LARGE:
            return True
        buffers.append(raw)
        return False

    if type(obj) in (bytes, bytearray) and len(obj) >= LARGE:  # type: ignore[arg-type]  # it has a length
        obj = _Plain(obj)  # type: ignore[arg-type]  # likewise
    try:
        data = pickle.dumps(obj, 5, buffer_callback=keep)
    except Exception:  # noqa: BLE001 - whatever it was, cloudpickle may know better, or raises
        data = None
    if data is None or b"__main__" in data or any(name.encode() in data for name in by_value):
        buffers.clear()
        data = _dumps_code(obj, by_value, keep)
    return [data, *buffers]


def loads(segments: Iterable[Buffer]) -> Any:
    """Unpickle what `dumps` made."""
    data, *buffers = segments
    return pickle.loads(data, buffers=buffers)  # noqa: S301 - it comes from our own other half


def _dumps_code(
    obj: object, modules: Iterable[str], keep: Callable[[pickle.PickleBuffer], bool]
) -> bytes:
    """Have cloudpickle send the code of these modules, not their names."""
    import cloudpickle

    with _registering:
        known = cloudpickle.list_registry_pickle_by_value()
        # A module that is not in sys.modules, cloudpickle takes by value anyway.
        added = [sys.modules[name] for name in modules if name in sys.modules and name not in known]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            data: bytes = cloudpickle.dumps(obj, 5, buffer_callback=keep)
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)
    return data


def renew() -> None:
    """Have a lock that is free, in a forked child: who had it may not be there any more."""
    global _registering  # noqa: PLW0603 - there is one registry
    _registering = allocate_lock()


def not_importable(cls: type) -> list[str]:
    """Name the modules of a class and its bases that a fresh interpreter could not import.

    Those of this package it can: a child has imported them before it hears of the class.
    """
    known = {"__main__", "builtins", __package__, f"{__package__}._block"}
    names = sorted({base.__module__ for base in cls.__mro__} - known)
    where = tuple(map(str, sys.path)), tuple(map(id, sys.meta_path))
    if _looked_up.get("where") != where:
        _looked_up.clear()
        _looked_up["where"] = where
    return [name for name in names if not _known_importable(name)]


_looked_up: dict[str, object] = {}  # what was found, as long as it is looked for in one place


def _known_importable(name: str) -> bool:
    if name not in _looked_up:
        _looked_up[name] = _importable(name)
    return bool(_looked_up[name])


def _importable(name: str) -> bool:
    """Look for a module as an interpreter would that has not imported it yet."""
    parent, _, _ = name.rpartition(".")
    path = None
    if parent:
        # A package that is loaded may have extended its path.
        loaded = sys.modules.get(parent)
        path = getattr(loaded, "__path__", None)
        if path is None or not _importable(parent):
            return False
    try:
        return any(finder.find_spec(name, path) is not None for finder in sys.meta_path)
    except Exception:  # noqa: BLE001 - a finder that cannot cope does not find it elsewhere, either
        return False
