"""For the pieces of mt.aio: what `lowlevel` offers them, and this package's `__init__` uses, too.

It must not import `lowlevel` for that: of two threads, one that imports the package would wait for
`lowlevel`, and one that imports `lowlevel` has it, and waits for the package.
"""

from __future__ import annotations

from _weakref import ReferenceType  # which is there already; weakref is not
from collections.abc import Iterable
from types import FunctionType
from typing import Any, TypeVar

T = TypeVar("T")


def living(references: Iterable[ReferenceType[T]]) -> list[T]:
    """Give what weak references still refer to.

    For a registry that other threads add to meanwhile, which its `values` could not stand.

    Args:
        references: weak references, such as the `valuerefs()` of a `WeakValueDictionary`, which
            are copied in one step.

    Returns:
        The objects that are there; they stay as long as the list does.
    """
    return [each for reference in references if (each := reference()) is not None]


def publish(namespace: dict[str, Any]) -> None:
    """Give the public functions and classes of a module that module's name.

    They are defined in private modules; whoever pickles, prints or documents them should see
    only the public place.

    Args:
        namespace: the `globals()` of the public module, with its `__all__`.
    """
    for name in namespace["__all__"]:
        member = namespace.get(name)
        if isinstance(member, (FunctionType, type)):
            for each in (member, getattr(member, "sync", None), getattr(member, "aio", None)):
                if each is member or hasattr(each, "func"):  # what `asyn` added to a function
                    each.__module__ = namespace["__name__"]
