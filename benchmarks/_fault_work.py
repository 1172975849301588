"""What is done in the workers of the process pools to which faults are done; see faults.py."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import Any, NoReturn


class Unloadable(Exception):  # noqa: N818 - it is what it is called
    """An exception that can be pickled and not be loaded again."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)
        self.two = two


def echo(message: Any) -> Any:
    """Return the message."""
    return message


def killed(_: Any) -> None:
    """Die as the system's out-of-memory killer has it."""
    os.kill(os.getpid(), signal.SIGKILL)


def crashed(_: Any) -> None:
    """Die as a defect in native code has it."""
    ctypes.string_at(0)


def left(_: Any) -> NoReturn:
    """End without a word."""
    os._exit(3)


def exited(_: Any) -> NoReturn:
    """End as a program does."""
    sys.exit(3)


def odd_result(_: Any) -> Any:
    """Return what cannot be pickled."""
    return sys._getframe()  # noqa: SLF001 - nothing pickles less


def odd_error(_: Any) -> NoReturn:
    """Raise what cannot be loaded."""
    raise Unloadable(1, 2)


def native(_: Any) -> int:
    """Print as a C library does."""
    os.write(1, b"printed by native code\n")
    return 1


def slow(seconds: float) -> float:
    """Take time."""
    time.sleep(seconds)
    return seconds


def pid(_: Any) -> int:
    """Tell who works."""
    return os.getpid()
