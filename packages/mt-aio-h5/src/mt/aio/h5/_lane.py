"""The one lane in which all HDF5 work of a process is done.

h5py has a global lock: two of its calls never run at once, and one that waits for another would
merely keep a worker thread busy. In a lane they run one after the other, in the order in which
they were issued.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from mt.aio.core.lowlevel import offload

if TYPE_CHECKING:
    from collections.abc import Callable

    from mt.aio.core.lowlevel import ContextVars

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LANE = "mt.aio.h5"


async def in_lane(func: Callable[[*Ts], T], /, *args: *Ts, context_vars: ContextVars) -> T:
    """Run blocking HDF5 code where the mode says; it is never left alone while it runs."""
    return await offload(func, *args, context_vars=context_vars, order=LANE)
