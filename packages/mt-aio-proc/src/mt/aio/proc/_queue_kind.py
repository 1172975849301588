"""What kinds of queues there are."""

from __future__ import annotations

import queue
import sys
from enum import Enum
from functools import lru_cache
from typing import Any

GETTER = "_mt_aio_getter"  # an attribute of a queue of processes: what is needed to get from it


class Kind(Enum):
    """How a queue can be used from an event loop."""

    PLAIN = "its methods do not block when they are asked not to"
    PROCESS = "a multiprocessing.Queue: its put does not block then, its get may"
    PIPE = "a multiprocessing.SimpleQueue: its methods cannot be asked not to block"
    AWAITED = "its put and get are coroutine functions, with the arguments of those of `queue`"
    PROXY = "of a queue of a manager: each method waits for another process"


MOST = 100  # classes to remember; arbitrary: some programs make classes without end
plain_types: set[type] = {queue.Queue, queue.SimpleQueue}  # known to be PLAIN: quick to look up
_COROUTINE = 0x80  # `inspect.CO_COROUTINE`


@lru_cache
def kind_of(cls: type) -> Kind:
    """Tell what kind of queue the instances of a class are; imports nothing."""
    if issubclass(cls, _loaded("multiprocessing.queues", "Queue")):
        return Kind.PROCESS
    if issubclass(cls, _loaded("multiprocessing.queues", "SimpleQueue")):
        return Kind.PIPE
    if issubclass(cls, _loaded("multiprocessing.managers", "BaseProxy")):
        return Kind.PROXY
    if _is_coroutine_function(cls, "put") and _is_coroutine_function(cls, "get"):
        return Kind.AWAITED
    if len(plain_types) < MOST:
        plain_types.add(cls)
    return Kind.PLAIN


def _loaded(module: str, name: str) -> Any:
    """Give a class, if its module has been imported that far, or what has no subclasses."""
    return getattr(sys.modules.get(module), name, ())


def _is_coroutine_function(cls: type, name: str) -> bool:
    """Tell without `inspect`, which is slow to import."""
    code = getattr(getattr(cls, name, None), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)
