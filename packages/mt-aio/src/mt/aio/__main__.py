"""`python -m mt.aio [FOLDER ...]` tells what is installed here and what the machine offers it.

It asks the installed files and the system itself, never the facade's names: it has to work where
`mtbase`, which ships a file of the same name, has replaced the facade, or an uninstall has taken
it away. It ends with status 1 if something needs mending.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import importlib.metadata
import os
import platform
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

PIECES = ("core", "fs", "h5", "proc", "manager", "remote", "dask")

# What the pieces use if it is there, and what for.
NEEDS = {
    "aiofiles": "mt.aio.fs.open_file",
    "numpy": "mt.aio.fs.npz_load, npz_save",
    "h5py": "mt.aio.h5",
    "cloudpickle": "mt.aio.proc",
    "obstore": "mt.aio.remote",
    "distributed": "mt.aio.dask",
    "uvloop": "asynchronous mode, if you run it there",
    "IPython": "mt.aio.core.ipython",
}

# A requirement that an extra brings: its name, and the extra's.
EXTRA = re.compile(r"([\w.-]+).*;.*\bextra *== *['\"]([\w.-]+)['\"]")

REINSTALL = "pip install --force-reinstall --no-deps"
IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
REMOTE = re.compile(r"nfs\d?|cifs|smb\d?|9p|ceph|lustre|gpfs|beegfs|afs|fuse\..*")


class Line(NamedTuple):
    """One line of the report; a bad one needs mending."""

    text: str
    bad: bool = False


def version_of(distribution: str) -> str | None:
    """Return the version of an installed distribution, None if it is not there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def pieces() -> Iterator[Line]:
    """Tell the versions of the facade and its pieces, and which do not go together."""
    ours = version_of("mt-aio")
    found = ours or "not installed: pip install mt-aio"
    yield Line(f"mt-aio          {found}  ({Path(__file__).parent})", not ours)
    for piece in PIECES:
        name = f"mt-aio-{piece}"
        version = version_of(name)
        if version is None:
            wanted = name if piece == "core" else f'"mt-aio[{piece}]"'
            yield Line(f"{name:15} not installed: pip install {wanted}", piece == "core")
        elif ours is None or _series(version) == _series(ours):
            yield Line(f"{name:15} {version}")  # any mix of patch releases will do
        else:
            yield Line(f"{name:15} {version}, not made for mt-aio {ours}: {_upgrade()}", bad=True)


def _series(version: str) -> list[str]:
    """Return the part of a version that has to be the same in all pieces."""
    return version.split(".")[:2]


def _upgrade() -> str:
    """Name the command that brings all installed pieces to one version."""
    there = [piece for piece in PIECES if piece != "core" and version_of(f"mt-aio-{piece}")]
    return f'pip install -U "mt-aio[{",".join(there)}]"' if there else "pip install -U mt-aio"


def extras() -> Iterator[Line]:
    """Tell which extras the installed pieces have, and what is missing for each."""
    for name in (f"mt-aio-{piece}" for piece in PIECES if version_of(f"mt-aio-{piece}")):
        wanted: dict[str, list[str]] = {}
        for requirement in importlib.metadata.requires(name) or []:
            if match := EXTRA.match(requirement):
                wanted.setdefault(match[2], []).append(match[1])
        for extra, brought in sorted(wanted.items()):
            missing = ", ".join(need for need in brought if version_of(need) is None)
            cure = f'without {missing}: pip install "{name}[{extra}]"'
            yield Line(f"{f'{name}[{extra}]':25} {cure if missing else 'there'}")


def needs() -> Iterator[Line]:
    """Tell the versions of what the pieces use."""
    for name, use in NEEDS.items():
        yield Line(f"{name:15} {version_of(name) or 'not installed'}  (for {use})")


def facilities() -> Iterator[Line]:
    """Tell which facilities for loops and processes the system lets us use."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    yield Line(f"{'global lock':15} {'yes' if gil else 'no (free-threaded)'}")
    for name, use, probe in (
        ("add_reader", "queues and processes awaited without a thread", _probe_add_reader),
        ("pidfd", "the end of a child seen without a thread", _probe_pidfd),
        ("memfd", "memory shared without a name", _probe_memfd),
    ):
        yield Line(f"{name:15} {_answer(probe)}  ({use})")


def _answer(probe: Callable[[], None]) -> str:
    """Say whether a probe goes through, or why not."""
    try:
        probe()
    except AttributeError:
        return "no: this system or Python has none"
    except (NotImplementedError, OSError) as exc:
        return f"no: {str(exc) or type(exc).__name__}"
    return "yes"


def _probe_add_reader() -> None:
    here, there = socket.socketpair()
    loop = asyncio.new_event_loop()
    with here, there:
        try:
            loop.add_reader(here, print)
            loop.remove_reader(here)
        finally:
            loop.close()


def _probe_pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))  # type: ignore[attr-defined,unused-ignore]  # Linux


def _probe_memfd() -> None:
    os.close(os.memfd_create("mt.aio"))  # type: ignore[attr-defined,unused-ignore]  # Linux


def folder(path: str) -> Iterator[Line]:
    """Tell what a file written into a folder survives, by writing one there in each way."""
    kind = file_system(path)
    yield Line(f"{os.path.abspath(path)}  ({kind or 'file system unknown'})")
    try:
        from mt.aio.core import srun
        from mt.aio.fs import write_binary
    except ImportError as exc:  # no name in it: an empty folder that an uninstall has left
        yield Line(f"  not tried, as {exc.name} is not installed")
        return
    try:
        with tempfile.TemporaryDirectory(prefix="mt-aio-", dir=path) as scratch:
            for durability in ("none", "atomic", "full"):
                target = os.path.join(scratch, "probe")
                try:
                    srun(write_binary, target, b"x", durability=durability)
                except OSError as exc:
                    yield Line(f"  durability {durability!r:9} refused: {exc}", bad=True)
                else:
                    yield Line(f"  durability {durability!r:9} accepted")
    except OSError as exc:
        yield Line(f"  cannot be written to: {exc}", bad=True)
        return
    if kind in IN_MEMORY:
        yield Line("  kept in memory: nothing here survives a power cut, whatever the durability")
    elif kind and REMOTE.fullmatch(kind):
        yield Line("  on another machine, or behind a program: what a flush means is its affair")


def file_system(path: str) -> str | None:
    """Name the file system that a folder is on, where the system tells (Linux)."""
    try:
        device = os.stat(path).st_dev
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in reversed(lines):
        before, _, after = line.partition(" - ")
        if before.split()[2] == wanted:
            return after.split()[0]
    return None


def facade() -> Iterator[Line]:
    """Tell whose `mt/aio/__init__.py` is in effect, and how to change that."""
    file = Path(__file__).with_name("__init__.py")
    owner = owner_of(file)
    mtbase = version_of("mtbase")
    ours = f"{REINSTALL} mt-aio"
    if owner is None:
        yield Line(f"{file} is missing: `import mt.aio` gives no names", bad=True)
        yield Line(f"  to have it back: {ours}")
    elif owner == "mtbase":
        yield Line(f"{file} is that of mtbase {mtbase}, installed over mt-aio's", bad=True)
        yield Line(f"  to have mt-aio's: {ours}")
        yield Line("  to keep mtbase's: import from the pieces, mt.aio.fs and so on, and")
        yield Line(f"    pip uninstall mt-aio; {REINSTALL} mtbase")
    elif owner == "mt-aio":
        yield Line(f"{file} is mt-aio's")
    else:
        yield Line(f"{file} is neither mt-aio's nor mtbase's, or has been edited", bad=True)
        yield Line(f"  to have mt-aio's: {ours}")
    if mtbase is None:
        yield Line("mtbase is not installed")
    elif owner == "mt-aio":
        yield Line(f"mtbase {mtbase} is installed as well; its own modules work with mt-aio's file")
        yield Line("  uninstalling or upgrading mtbase takes or replaces the file; then:")
        yield Line(f"    {ours}")


def owner_of(file: Path) -> str | None:
    """Name the distribution that a facade file comes from.

    Args:
        file: an `mt/aio/__init__.py`.

    Returns:
        `"mtbase"` or `"mt-aio"`, whose record has the file's checksum; `"unknown"` if neither has;
        None if the file is not there. A checkout that is installed in place records no checksum:
        its file counts as mt-aio's.
    """
    try:
        digest = hashlib.sha256(file.read_bytes()).digest()
    except FileNotFoundError:
        return None
    checksum = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    recorded = {name: _recorded(name) for name in ("mtbase", "mt-aio")}
    for name, known in recorded.items():
        if known == checksum:
            return name
    return "mt-aio" if recorded["mt-aio"] is None else "unknown"


def _recorded(distribution: str) -> str | None:
    """Return the checksum of the facade file that a distribution has on record, if any."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix() == "mt/aio/__init__.py" and file.hash is not None:
            return file.hash.value
    return None


def main(arguments: list[str] | None = None) -> int:
    """Print the report.

    Args:
        arguments: those of the command line; None takes the program's own.

    Returns:
        0, or 1 if something needs mending.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mt.aio",
        description="Tells what is installed of mt-aio, what the machine offers it, and what "
        "files written into a folder survive. Status 1: something needs mending.",
    )
    parser.add_argument("folder", nargs="*", default=["."], help="the current one by default")
    folders = parser.parse_args(arguments).folder
    python = f"{platform.python_implementation()} {platform.python_version()}"
    sections: dict[str, list[Line]] = {
        "Python": [Line(f"{python} on {platform.platform()}"), Line(sys.executable)],
        "Pieces": list(pieces()),
        "Facade": list(facade()),
        "Extras of the pieces": list(extras()),
        "Used by the pieces": list(needs()),
        "Loops and processes": list(facilities()),
        "Folders": [line for path in folders for line in folder(path)],
    }
    for title, lines in sections.items():
        print(title)  # noqa: T201 - a report is printed
        for line in lines:
            print(f"{'!' if line.bad else ' '} {line.text}")  # noqa: T201 - likewise
    return int(any(line.bad for lines in sections.values() for line in lines))


if __name__ == "__main__":
    sys.exit(main())
