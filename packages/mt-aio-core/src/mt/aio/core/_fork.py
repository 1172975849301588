"""Letting a forked child import what another thread was importing when it was forked.

While a module is being imported, a lock that belongs to the importing thread keeps the others from
using it half done. A child has a copy of that lock and not the thread, so whoever imports that
module there waits for ever. As mt.aio imports most things only when they are needed, in whatever
thread that may be, a child begins by dropping such locks, and what had been imported by half: it is
imported anew.

The locks are private to importlib. Where they are not as expected, nothing is done.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident


def _drop_unfinished_imports() -> None:
    """Forget what the threads that are not here have not finished; runs in the child."""
    locks = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    here = get_ident()
    for name, reference in list(locks.items()):
        if getattr(reference(), "owner", None) not in (None, here):
            del locks[name]
            spec = getattr(sys.modules.get(name), "__spec__", None)
            if getattr(spec, "_initializing", False):
                del sys.modules[name]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_unfinished_imports)
