"""A helper process that always answers or says why not, and queues that can be awaited."""

from __future__ import annotations

from mt.aio.proc._process import BgProcess

TYPE_CHECKING = False  # checkers take this very name for true
if TYPE_CHECKING:
    from mt.aio.proc._pool import BgProcessPool
    from mt.aio.proc._queue import qget_aio, qput_aio

__all__ = ["BgProcess", "BgProcessPool", "qget_aio", "qput_aio"]

BgProcess.__module__ = __name__


def __getattr__(name: str) -> object:
    """Import what a child does not need when it is first used."""
    modules = {"BgProcessPool": "_pool", "qget_aio": "_queue", "qput_aio": "_queue"}
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from mt.aio.core.lowlevel import publish

    module = import_module(f"{__name__}.{modules[name]}")
    value = globals()[name] = getattr(module, name)
    publish(globals())
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
