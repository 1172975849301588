"""Helper processes on the machines of a dask cluster, and queues there that can be awaited."""

from __future__ import annotations

from mt.aio.core.lowlevel import publish
from mt.aio.dask._host import DaskHost

TYPE_CHECKING = False  # checkers take this very name for true
if TYPE_CHECKING:
    from mt.aio.dask._queue import DaskQueue, queue

__all__ = ["DaskHost", "DaskQueue", "queue"]

publish(globals())


def __getattr__(name: str) -> object:
    """Import what needs asyncio when it is first used."""
    if name not in {"DaskQueue", "queue"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mt.aio.dask import _queue

    globals().update({each: getattr(_queue, each) for each in ("DaskQueue", "queue")})
    publish(globals())
    value: object = globals()[name]
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
