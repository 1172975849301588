"""Which modules another machine is not likely to have."""

from __future__ import annotations


def not_installed(cls: type) -> list[str]:
    """Name the modules of a class and its bases that lie outside all installed packages."""
    import sys
    import sysconfig

    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    names = {base.__module__ for base in cls.__mro__} - {"__main__", "builtins"}
    found = []
    for name in names:
        file = getattr(sys.modules.get(name), "__file__", None)
        ours = name.split(".")[:2] == ["mt", "aio"]  # sent along anyway
        if file is not None and not ours and not file.startswith(tuple(folders)):
            found.append(name)
    return sorted(found)
