"""What files cost whoever does nothing else: the bare system calls, and the bare wake-ups.

They stand beside ours in the cases of suite `files`, to tell how much there is left to gain.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from _files_ways import DATA

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_TEMPORARY = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_numbers = count()

_ECHO = """
import os
while os.read(0, 1):
    os.write(1, b".")
"""


def bare_read(path: str) -> bytes:
    """Read a file by the system calls that `read_binary` makes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    data = os.read(fd, 2**16)
    os.read(fd, 1)
    os.close(fd)
    return data


def bare_write(path: str) -> None:
    """Write a file by the system calls that `write_binary` makes, without a way back."""
    with suppress(FileNotFoundError):
        os.lstat(path)
    folder, name = os.path.split(path)
    temporary = f"{folder}/.{name}.{next(_numbers)}.tmp"
    fd = os.open(temporary, _TEMPORARY, 0o600)
    os.write(fd, DATA)
    os.fchmod(fd, 0o664)
    os.fsync(fd)
    os.close(fd)
    os.replace(temporary, path)


def replace_unflushed(path: str) -> None:
    """Write a file as one would who fears no power cut: temporary file and rename."""
    temporary = f"{path}.tmp"
    fd = os.open(temporary, _TEMPORARY, 0o600)
    os.write(fd, DATA)
    os.close(fd)
    os.replace(temporary, path)


class Echo:
    """A process that answers each byte with one: to be woken, and to be woken by it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018 - for mypy
        self._there = self._process.stdin.fileno()
        self._back = self._process.stdout.fileno()

    def wake(self, _: object = None) -> None:
        """Wake it, and sleep until it has answered: two wake-ups."""
        os.write(self._there, b".")
        os.read(self._back, 1)

    def __enter__(self) -> Self:
        self.wake()  # it is up
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.__exit__(exc_type, exc, traceback)
