"""One body for sync and async code, files that are never torn, helper processes that never hang.

The names below live in separately installable pieces; each is imported when one of its names is
first used:

    mt.aio.core     arun, arun2, ipython, sleep, srun, yield_control
    mt.aio.fs       read_binary, write_binary, read_text, write_text, json_load, json_save,
                    npz_load, npz_save, mkdtemp, open_file, safe_chmod, safe_rename
    mt.aio.h5       CreateFileH5
    mt.aio.proc     BgProcess, qget_aio, qput_aio
    mt.aio.manager  AprocManager

Two more pieces add no names here. With mt.aio.remote, those that take paths of files take URLs of
objects as well; mt.aio.dask, imported by its own name, lets child processes live on a cluster.

A name whose piece is not installed is left out of `dir()` and of `__all__`; using it raises a
`ModuleNotFoundError` that tells what to install.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # checkers take this very name for true; importing `typing` costs more

# In an editable install each piece lives in a folder of its own. This is what
# `pkgutil.extend_path` does for folders, without the cost of importing pkgutil.
__path__ += [
    folder
    for root in sys.modules["mt"].__path__
    if (folder := os.path.join(root, "aio")) not in __path__ and os.path.isdir(folder)
]

if TYPE_CHECKING:
    from mt.aio.core import arun, arun2, ipython, sleep, srun, yield_control
    from mt.aio.fs import (
        json_load,
        json_save,
        mkdtemp,
        npz_load,
        npz_save,
        open_file,
        read_binary,
        read_text,
        safe_chmod,
        safe_rename,
        write_binary,
        write_text,
    )
    from mt.aio.h5 import CreateFileH5
    from mt.aio.manager import AprocManager
    from mt.aio.proc import BgProcess, qget_aio, qput_aio

    __all__ = [
        "AprocManager",
        "BgProcess",
        "CreateFileH5",
        "arun",
        "arun2",
        "ipython",
        "json_load",
        "json_save",
        "mkdtemp",
        "npz_load",
        "npz_save",
        "open_file",
        "qget_aio",
        "qput_aio",
        "read_binary",
        "read_text",
        "safe_chmod",
        "safe_rename",
        "sleep",
        "srun",
        "write_binary",
        "write_text",
        "yield_control",
    ]
else:
    _NAMES = {
        "core": "arun arun2 ipython sleep srun yield_control",
        "fs": "json_load json_save mkdtemp npz_load npz_save open_file read_binary read_text "
        "safe_chmod safe_rename write_binary write_text",
        "h5": "CreateFileH5",
        "manager": "AprocManager",
        "proc": "BgProcess qget_aio qput_aio",
    }
    _PIECES = {name: piece for piece, names in _NAMES.items() for name in names.split()}
    _LIVE = {"ipython"}  # not a constant: looked up anew each time

    def __getattr__(name: str) -> object:
        if name == "__all__":  # computed, so that `import *` works without the absent pieces
            return _available()
        try:
            piece = _PIECES[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        value = _fetch(name, piece)
        if name not in _LIVE:
            globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return [*_available(), *(name for name in globals() if name.startswith("__"))]

    def _available() -> list[str]:
        """List the names whose pieces are installed, without importing any piece."""
        from importlib.util import find_spec

        installed = {
            piece
            for piece in _NAMES
            if (spec := find_spec(f"{__name__}.{piece}")) is not None and spec.origin is not None
        }
        return sorted(name for name, piece in _PIECES.items() if piece in installed)

    def _fetch(name: str, piece: str) -> object:
        """Import a name from its piece; if that fails for want of the piece, say what to do."""
        from importlib import import_module

        module_name = f"{__name__}.{piece}"
        wanted = "mt-aio-core" if piece == "core" else f'"mt-aio[{piece}]"'
        try:
            module = import_module(module_name)
            absent = module.__spec__.origin is None  # an empty folder that an uninstall has left
        except ModuleNotFoundError as exc:
            if exc.name != module_name:  # something that the installed piece needs: its own affair
                raise
            absent = True
        if absent:
            raise ModuleNotFoundError(
                f"{__name__}.{name} needs mt-aio-{piece}: pip install {wanted}", name=module_name
            )
        if not hasattr(module, name):
            raise ImportError(
                f"the installed mt-aio-{piece} is too old for {__name__}.{name}: "
                f"pip install -U {wanted}",
                name=module_name,
            )
        return getattr(module, name)
