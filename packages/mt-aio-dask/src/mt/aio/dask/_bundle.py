"""The sources that go to a machine where nothing of ours is installed."""

from __future__ import annotations

from functools import cache

_PIECES = ("core", "proc")

_FIRST = '''\
"""Comes before whatever else is called mt.aio here, so that what was sent along is found first."""

import os.path
import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
for _folder in __path__[1:]:
    _file = os.path.join(_folder, "__init__.py")
    if os.path.exists(_file):
        with open(_file, "rb") as _opened:
            exec(compile(_opened.read(), _file, "exec"))
        break
'''


@cache
def bundle() -> tuple[str, bytes]:
    """Give the sources as an archive, and the name of the package that a worker makes of it.

    The name is that of the content, so that two versions can be used in one worker.
    """
    import hashlib
    import io
    import zipfile
    from importlib.resources import files

    sources = {"mt/aio/__init__.py": _FIRST}
    for piece in _PIECES:
        for entry in files(f"mt.aio.{piece}").iterdir():
            if entry.name.endswith(".py"):
                sources[f"mt/aio/{piece}/{entry.name}"] = entry.read_text(encoding="utf-8")
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:16]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in sources.items():
            opened.writestr(name, text)
    return f"mt_aio_{digest}", archive.getvalue()


class Shipped:
    """Stands for the class of the actor: is pickled as text, becomes the class over there."""

    def __call__(self) -> object:
        """Make the actor where nothing is pickled, as the worker is in this very process."""
        from mt.aio.dask._shell import Shell

        return Shell()

    def __reduce__(self) -> tuple[object, ...]:
        return eval, (f"(lambda space: exec({_shell()!r}, space) or space['Shell'])({{}})",)


@cache
def _shell() -> str:
    from importlib.resources import files

    return files("mt.aio.dask").joinpath("_shell.py").read_text(encoding="utf-8")
