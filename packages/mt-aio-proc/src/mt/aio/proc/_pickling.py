"""Pickling for the other side: plain pickle where it will do, cloudpickle where it will not.

Plain pickle names classes and functions by module. That is fast, but no good for what only this
process can import: `__main__`, and modules that its import system made up (a test runner's, say).
Those are given to cloudpickle, which sends the code itself.
"""

from __future__ import annotations

import pickle
import sys
from _thread import allocate_lock  # threading would have to be imported in the child
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mt.aio.proc._protocol import LARGE, Buffer

_registering = allocate_lock()


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

    try:
        data = pickle.dumps(obj, 5, buffer_callback=keep)
    except Exception:  # noqa: BLE001 - whatever it was, cloudpickle may know better, or raises
        data = None
    if data is None or any(name.encode() in data for name in ("__main__", *by_value)):
        buffers.clear()
        with _code_of(by_value):
            import cloudpickle

            data = cloudpickle.dumps(obj, 5, buffer_callback=keep)
    return [data, *buffers]


def loads(segments: Iterable[Buffer]) -> Any:
    """Unpickle what `dumps` made."""
    data, *buffers = segments
    return pickle.loads(data, buffers=buffers)  # noqa: S301 - it comes from our own other half


def not_importable(cls: type) -> list[str]:
    """Name the modules of a class and its bases that a fresh interpreter could not import."""
    names = {base.__module__ for base in cls.__mro__}
    return sorted(name for name in names if name != "__main__" and not _importable(name))


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


@contextmanager
def _code_of(modules: Iterable[str]) -> Iterator[None]:
    """Have cloudpickle send the code of these modules, not their names."""
    import cloudpickle

    with _registering:
        known = cloudpickle.list_registry_pickle_by_value()
        # A module that is not in sys.modules, cloudpickle takes by value anyway.
        added = [sys.modules[name] for name in modules if name in sys.modules and name not in known]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)
