"""The parent's side of the nursery: one clean interpreter, from which children are forked.

It is started with the first child and serves for all the others, as long as this process has not
changed in a way that a fork of the nursery could not follow: then a fresh interpreter is started,
which inherits everything. What is told to each child is not part of that: its working folder,
`sys.path`, `sys.argv`, its environment, whether SIGINT and SIGCHLD are ignored.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from mt.aio.proc._passing import send

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Starter = Callable[[int, int, int], subprocess.Popen[bytes]]

PATIENCE = 1.0  # seconds for it to end when this process does; arbitrary

_EARLY = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "TZ")  # read when a process starts


class Nursery:
    """The parent's end of a nursery."""

    def __init__(self, start: Starter, stdout: int, stderr: int, world: bytes) -> None:
        import socket

        self.state = state()
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self.popen = start(theirs.fileno(), stdout, stderr)
                self._control.sendall(world)
            except BaseException:
                self._control.close()
                raise

    def request(self, descriptors: list[int]) -> None:
        """Ask for a child that has these descriptors; an OSError if that cannot be now."""
        flags = 2 * ("cloudpickle" in sys.modules)  # as `_nursery` has them
        flags |= 1 * _ignores("SIGINT") | 4 * _ignores("SIGCHLD")
        send(self._control, bytes([flags]), descriptors)

    def fit(self) -> bool:
        """Whether it lives, and this process is still such as it was then."""
        return self.popen.poll() is None and self.state == state()

    def close(self) -> None:
        """End it and see that it is gone."""
        import subprocess

        self._control.close()
        try:
            self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def disown(self) -> None:
        """Forget it, in a fork of this process."""
        self._control.close()
        self.popen.returncode = 0  # or its destructor would try to reap it

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._control.fileno()


def current() -> Nursery | None:
    """Return the nursery of this process, if there is one."""
    return _current


def possible() -> bool:
    """Whether this system has what it takes."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def ask(descriptors: list[int], begin: Callable[[], Nursery]) -> Nursery | None:
    """Have a child forked; None if a fresh interpreter has to be started instead.

    Args:
        descriptors: what the child is to have, as the nursery's `ORDER` says.
        begin: starts a nursery.
    """
    global _current  # noqa: PLW0603 - there is one for the process
    with _lock:
        if _current is not None and _current.popen.poll() is not None:  # somebody killed it
            _current.close()
            _current = None
        if _current is None:
            _current = begin()
        elif not _current.fit():
            return None
        try:
            _current.request(descriptors)
        except OSError:  # it does not come up, or is stopped, and cannot take more requests
            return None
        return _current


def close() -> None:
    """End the nursery, at the end of this process."""
    global _current
    with _lock:
        nursery, _current = _current, None
    if nursery is not None:
        nursery.close()


def disown() -> None:
    """In a forked child of the parent: the nursery is the parent's."""
    global _current, _lock  # noqa: PLW0603 - see above
    _lock = threading.Lock()
    if _current is not None:
        _current.disown()
        _current = None


def state() -> tuple[object, ...]:
    """What a process inherits and a fork of the nursery would not have, as it is now."""
    import resource
    import signal

    return (
        sys.executable,
        sys.flags,
        tuple(sys.warnoptions),
        os.getresuid(),
        os.getresgid(),
        os.getgroups(),
        os.getpgrp(),
        os.getsid(0),
        os.nice(0),
        os.sched_getaffinity(0),
        _umask(),
        tuple(resource.getrlimit(limit) for limit in _LIMITS),
        [signal.getsignal(number) is signal.SIG_IGN for number in _IGNORABLE],
        signal.pthread_sigmask(signal.SIG_BLOCK, []) - {signal.SIGINT},
        {name: value for name, value in os.environ.items() if name.startswith(_EARLY)},
    )


def _umask() -> bytes:
    """This process's umask; to read it by `os.umask`, one would have to change it."""
    with suppress(OSError), open("/proc/self/status", "rb") as file:
        return file.read(200).partition(b"Umask:")[2][:6]
    return b""


def _ignores(name: str) -> bool:
    import signal

    return signal.getsignal(getattr(signal, name)) is signal.SIG_IGN


def _constants() -> tuple[list[int], list[int]]:
    import resource
    import signal

    limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    names = ("SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGALRM")
    return limits, [getattr(signal, name) for name in names]


_LIMITS, _IGNORABLE = _constants() if sys.platform == "linux" else ([], [])
_lock = threading.Lock()
_current: Nursery | None = None
