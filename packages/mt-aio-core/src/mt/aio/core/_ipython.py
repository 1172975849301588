"""Where the program runs, seen from IPython. Reported only: no event loop is ever patched."""

from __future__ import annotations

import sys


def ipython_state() -> str:
    """Tell whether the program runs inside IPython and whether asyncio is patched to nest.

    Returns:
        `"outside"`, `"inside_without_asyncio_nested"` or, where something like `nest_asyncio`
        has patched asyncio, `"inside_with_asyncio_nested"`.
    """
    module = sys.modules.get("IPython")
    get_ipython = getattr(module, "get_ipython", None)
    if get_ipython is None or get_ipython() is None:
        return "outside"
    patched = hasattr(sys.modules.get("asyncio"), "_nest_patched")
    return "inside_with_asyncio_nested" if patched else "inside_without_asyncio_nested"
