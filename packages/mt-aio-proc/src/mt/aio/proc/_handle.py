"""A process that was started, whoever its parent is: is it alive, how did it end, kill it."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from mt.aio.proc._error import how_it_ended
from mt.aio.proc._passing import receive

if TYPE_CHECKING:
    import socket
    import subprocess
    from typing import Protocol

    class Handle(Protocol):
        """What a link needs of its process."""

        watched: int
        unborn: str

        @property
        def returncode(self) -> int | None:
            """The exit status, or the negative number of a signal; None if nobody knows."""

        @property
        def pid(self) -> int:
            """The process id."""

        def ended(self) -> bool:
            """Look whether it has ended; if so, `returncode` says how, if anybody knows."""

        def kill(self) -> None:
            """Kill it."""

        def doubt(self) -> None:
            """Rely on the system alone to tell of the end, if another was to tell."""

        def close(self) -> None:
            """Close what tells of the end."""

        def disown(self) -> None:
            """Do so in a fork of this process, and keep away from it from now on."""


BOOT = 30.0  # seconds for a nursery to come up; arbitrary
_DYING = 0.2  # seconds between a nursery's last word and its death; arbitrary


class Own:
    """A child of this process.

    It is waited for here and not by its Popen, which takes a status that it cannot get for 0: the
    system keeps none where SIGCHLD is ignored, and gives it to the first who asks.

    Attributes:
        watched: a descriptor that is readable when the process has ended.
    """

    unborn = ""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._ending: IO[bytes] | None = None
        self._returncode: int | None = None
        self._ended = False
        self._lock = threading.RLock()
        self.watched = self._end()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        return self._returncode

    def ended(self) -> bool:
        with self._lock:
            if not self._ended and self._ending is None:
                self._ended = self._reap(os.WNOHANG)
            return self._ended

    def kill(self) -> None:
        with self._lock:
            if not self.ended():
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)

    def doubt(self) -> None:
        """Do nothing: nobody else is relied on."""

    def close(self) -> None:
        os.close(self.watched)

    def disown(self) -> None:
        self._lock = threading.RLock()
        self._ended = True
        self.close()
        if self._ending is not None:
            self._ending.close()
        self._popen.returncode = 0  # or its destructor would try to reap it

    def _end(self) -> int:
        if sys.platform == "linux":
            with suppress(OSError):  # an old kernel, or a sandbox that forbids it
                return os.pidfd_open(self._popen.pid)
        readable, writable = os.pipe()
        ending = self._ending = open(writable, "wb", buffering=0)  # noqa: SIM115 - closed below

        def wait() -> None:
            self._ended = self._reap(0)
            ending.close()

        name = f"mt-aio-wait-{self._popen.pid}"
        threading.Thread(target=wait, name=name, daemon=True).start()
        return readable

    def _reap(self, options: int) -> bool:
        """Ask how it ended; False if it has not."""
        try:
            pid, status = os.waitpid(self.pid, options)
        except ChildProcessError:  # somebody else has been told
            pid = self.pid
        else:
            if pid:
                self._returncode = os.waitstatus_to_exitcode(status)
        if pid:
            self._popen.returncode = 0  # or its destructor would look for it
        return bool(pid)


class Forked:
    """A child of the nursery: it reports its process id, and the nursery how it ended.

    If the nursery is gone before that, nobody knows how; that the child has ended, the descriptor
    of the process itself tells, which is watched from then on.

    Attributes:
        watched: a descriptor that is readable when there is news.
        unborn: why there has not been a process, once that is clear.
    """

    unborn = ""

    def __init__(self, report: socket.socket, nursery: subprocess.Popen[bytes]) -> None:
        self._returncode: int | None = None
        self._report = report
        self._nursery = nursery
        self._pid: int | None = None
        self._process = -1
        self._ended = False
        self._lock = threading.RLock()
        self.watched = report.fileno()

    @property
    def returncode(self) -> int | None:
        return self._returncode

    @property
    def pid(self) -> int:
        if self._pid is None:
            self._wait_for_pid()
        return -1 if self._pid is None else self._pid

    def ended(self) -> bool:
        with self._lock:
            while not self._ended and self.watched != self._process:
                try:
                    self._take(*receive(self._report, 16))
                except BlockingIOError:
                    return False
            if not self._ended:
                poll = select.poll()
                poll.register(self._process, select.POLLIN)
                self._ended = bool(poll.poll(0))
            return self._ended

    def kill(self) -> None:
        with self._lock:
            if self._pid is None and not self._wait_for_pid():
                self._nursery.kill()  # it never came up
            elif self._process >= 0:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def doubt(self) -> None:
        with self._lock:
            if not self.ended() and self._process >= 0:
                self.watched = self._process

    def close(self) -> None:
        with self._lock:
            self._report.close()
            if self._process >= 0:
                os.close(self._process)
                self._process = -1

    def disown(self) -> None:
        self._lock = threading.RLock()
        self._ended = True
        self.close()

    def _take(self, data: bytes, descriptors: list[int]) -> None:
        """Take what is reported: the pid by the child, that and the exit status by the nursery.

        A child that is killed early has told nothing. No data mean that nobody will tell more.
        """
        if data:
            self._pid = int.from_bytes(data[:8], "little", signed=True)
        if descriptors:
            (self._process,) = descriptors
        if len(data) > 8:  # noqa: PLR2004 - so long is the pid alone
            self._returncode, self._ended = int.from_bytes(data[8:], "little", signed=True), True
        if data:
            return
        if self._pid is None:  # the nursery has not come up, is gone, or could not fork
            self._give_up()
        if self._process < 0:
            self._ended = True
        else:
            self.watched = self._process

    def _give_up(self) -> None:
        """See why no process has told of itself."""
        with suppress(Exception):  # not dead: TimeoutExpired
            self._returncode = self._nursery.wait(_DYING)
        if self._returncode is None:
            why = "could not fork it, or it was killed at once"
        else:
            why = f"was to fork it and {how_it_ended(self._returncode)}"
        self.unborn = f"did not come up: the process {self._nursery.pid} {why}"

    def _wait_for_pid(self) -> bool:
        with self._lock:
            if not self._told():  # else another thread has heard it meanwhile
                poll = select.poll()
                poll.register(self._report.fileno(), select.POLLIN)
                poll.poll(BOOT * 1000)
                self.ended()
            return self._told()

    def _told(self) -> bool:
        """Whether the pid has come, or nothing will."""
        return self._pid is not None or self._ended
