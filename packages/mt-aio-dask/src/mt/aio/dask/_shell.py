"""What an engine's worker runs: a thin shell around a station, which starts the child.

It is sent as this file's text, so that it works whatever the worker's Python is and has installed:
nothing in here imports anything of ours. What it needs of ours comes as an archive of sources. They
are laid down in the worker's own folder, from which the child imports them by their own names; the
worker itself imports them by a private name, so that they never meet another version of theirs.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

_LARGE = 1 << 16  # bytes from which on a buffer travels beside the pickle


class Raw:
    """A large buffer that is to be moved, not copied into a pickle; it arrives as a view."""

    def __init__(self, buffer: Any) -> None:
        self.buffer = buffer

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Become a view; where a scheduler talks to workers in an old protocol, by a copy."""
        if protocol >= 5:  # noqa: PLR2004 - the first that has buffers
            return memoryview, (pickle.PickleBuffer(self.buffer),)
        return memoryview, (bytearray(self.buffer),)


def raw(segments: list[Any]) -> list[Any]:
    """Wrap those buffers that are large; views that are small become bytes."""
    return [Raw(segment) if len(segment) >= _LARGE else bytes(segment) for segment in segments]


def cooked(segments: list[Any]) -> list[Any]:
    """Unwrap what has not been pickled, as dask does not where both ends are in one process."""
    return [getattr(segment, "buffer", segment) for segment in segments]


class Shell:
    """The actor. Making one does nothing, as an engine may do it again where it fails."""

    def __init__(self) -> None:
        self._station: Any = None

    async def look(self, package: str) -> tuple[tuple[int, int], bool]:
        """Tell which Python this is, and whether the sources are here already."""
        return sys.version_info[:2], package in sys.modules

    async def start(
        self, package: str, archive: bytes, setup: list[Any], forward: tuple[str, ...]
    ) -> tuple[int, str]:
        """Start the child; tell its process id and the machine's name."""
        import platform
        from importlib import import_module

        if package not in sys.modules:
            _install(package, archive)
        self._station = import_module(f"{package}.proc.lowlevel").Station()
        return await self._station.start(cooked(setup), forward), platform.node()

    async def exchange(self, asked: tuple[Any, ...]) -> Any:
        """Pass a call on to the station."""
        *rest, packets = asked
        packets = [(number, kind, cooked(segments)) for number, kind, segments in packets]
        first, events, withheld = await self._station.exchange(*rest, packets)
        for place, event in enumerate(events):
            if event[0] == "frame":
                events[place] = (*event[:3], raw(event[3]))
        return first, events, withheld

    def __del__(self) -> None:
        """The caller has let go of it, or is gone: so is the child, then."""
        if getattr(self, "_station", None) is not None:
            self._station.abandon()


def _install(package: str, archive: bytes) -> None:
    """Lay the sources down, and make them importable by their private name."""
    import io
    import os
    import zipfile
    from importlib import import_module

    from distributed import get_worker

    folder = os.path.join(get_worker().local_directory, package)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        opened.extractall(folder)
    sys.meta_path.insert(0, _finder(package, os.path.join(folder, "mt", "aio")))
    import_module(package)
    start = import_module(f"{package}.proc._start")
    start.AHEAD.append(folder)


def _finder(package: str, root: str) -> Any:
    """Make what finds the modules of a package below a folder, whose own name is `mt.aio`."""
    import os
    import re
    from importlib.abc import MetaPathFinder
    from importlib.machinery import ModuleSpec, SourceFileLoader
    from importlib.util import spec_from_file_location

    ours = re.compile(r"^(\s*(?:from|import) )mt\.aio\b", re.MULTILINE)

    class Loader(SourceFileLoader):
        """Loads a module under the private name."""

        def get_code(self, fullname: str) -> Any:  # noqa: ARG002 - as Python calls it
            text = ours.sub(rf"\1{package}", self.get_data(self.path).decode())
            return compile(text, self.path, "exec", dont_inherit=True)

    class Finder(MetaPathFinder):
        """Finds it."""

        def find_spec(
            self,
            fullname: str,
            path: Any,  # noqa: ARG002 - as Python calls it
            target: Any = None,  # noqa: ARG002 - likewise
        ) -> ModuleSpec | None:
            top, _, rest = fullname.partition(".")
            if top != package:
                return None
            if not rest:
                spec = ModuleSpec(fullname, None, is_package=True)
                spec.submodule_search_locations = [root]
                return spec
            place = os.path.join(root, *rest.split("."))
            is_package = os.path.isdir(place)
            file = os.path.join(place, "__init__.py") if is_package else f"{place}.py"
            if not os.path.exists(file):
                return None
            folders = [place] if is_package else None
            loader = Loader(fullname, file)
            return spec_from_file_location(
                fullname, file, loader=loader, submodule_search_locations=folders
            )

    return Finder()
