"""A clean interpreter, started once, from which children are forked: cheap, and without harm.

It has one thread, has run none of the user's code, and knows what every child needs. For each
request it forks. The child tells the parent its process id, before anything else: if the nursery
did, and were killed meanwhile, the parent would not know of a child that lives. The nursery tells
how the child ended. The request is one byte, with the descriptors that the child is to have; see
`ORDER`.

A program that has asked twice will ask again: from then on a spare child is forked ahead. It reads
the next request itself, from the very socket, and passes on what the nursery has to know. See
`_spare`.

The nursery ends with the parent, whose end of the control socket is the only one. It then tells
the children's own children to terminate, before the children go, too.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # `signal` imports enum
import _socket as socket
import fcntl  # noqa: F401 - so that the children have it
import gc
import os
import select

from mt.aio.proc import _process, _serve  # noqa: F401 - so that the children have them
from mt.aio.proc._passing import introduce, receive

REST = 2  # milliseconds after a request before a spare is forked: the child is to start first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ORDER = ("channel", "aside", "lifeline", "stdout", "stderr", "folder", "report", "lifeline's end")
"""What the descriptors of a request are for."""

NO_INTERRUPTS, CLOUDPICKLE, NO_DEATHS = 1, 2, 4
"""The flags of a request: the parent ignores SIGINT; it has cloudpickle; it ignores SIGCHLD."""


class _Quietly:
    """Lets an OSError pass in silence; `contextlib` need not be imported for that."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


class _Nursery:
    """The children that live: by the descriptor of each, what it takes to tell of its end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._living: dict[int, tuple[int, socket.socket, int]] = {}
        self._spare: tuple[int, socket.socket] | None = None
        self._served = self._wants_spare = self._has_cloudpickle = False

    def step(self) -> list[int] | None:
        """Wait for something to do and do it; return, in a new child, what it serves with."""
        ours = None
        events = self._poll.poll(REST if self._wants_spare else None)
        if not events:
            return self._make_spare()
        for descriptor, event in events:
            if descriptor in self._living:
                self._bury(descriptor)
            elif descriptor != self._control.fileno():
                self._relieve()
            elif event & select.POLLHUP:
                self._end()
            else:
                ours = self._serve()
            if ours is not None:
                break
        return ours

    def _serve(self) -> list[int] | None:
        """Take a request, as there is no spare to take it, and fork."""
        data, descriptors = receive(self._control, 1)
        try:
            *child, report, lifeline = _all(descriptors)
            pid = os.fork()
        except OSError:  # too many descriptors or processes; the parent sees that nothing came
            _close(descriptors)
            return None
        if pid == 0:
            self._leave()
            self._control.close()
            introduce(report)
            os.close(lifeline)
            return _settle(data, *child)
        _close(child)
        self._add(pid, report, lifeline)
        self._follow(data)
        return None

    def _relieve(self) -> None:
        """Hear of the request that the spare has taken."""
        assert self._spare is not None  # noqa: S101 - for mypy
        pid, told = self._spare
        self._spare = None
        self._poll.unregister(told)
        self._poll.modify(self._control, select.POLLIN)
        data, descriptors = receive(told, 1)
        told.close()
        if len(descriptors) != 2:  # noqa: PLR2004 - `report` and `lifeline`; it is dead, or no use
            _close(descriptors)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        self._add(pid, *descriptors)
        self._follow(data)

    def _follow(self, data: bytes) -> None:
        """Do what the next children profit from, while nobody waits."""
        if not self._served:
            from mt.aio.proc import _spare  # not before the first child is on its way

            _spare.look_through_folders()
            gc.freeze()
        if data[0] & CLOUDPICKLE and not self._has_cloudpickle:
            self._has_cloudpickle = True
            _import_cloudpickle()
        self._wants_spare = self._served  # after the first one there may be no other
        self._served = True

    def _make_spare(self) -> list[int] | None:
        """Fork a child that takes the next request by itself."""
        self._wants_spare = False
        try:
            told, tell = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pid = os.fork()
        except OSError:
            return None
        if pid == 0:
            told.close()
            self._leave()
            from mt.aio.proc import _spare

            _spare.rehearse()
            data, child = _spare.wait_for_use(self._control, tell, len(ORDER))
            return _settle(data, *child)
        tell.close()
        self._spare = pid, told
        self._poll.register(told, select.POLLIN)
        self._poll.modify(self._control, 0)  # which still tells of its end
        return None

    def _add(self, pid: int, report: int, lifeline: int) -> None:
        """Watch a new child."""
        descriptor = os.pidfd_open(pid)
        self._poll.register(descriptor, select.POLLIN)
        self._living[descriptor] = pid, socket.socket(fileno=report), lifeline

    def _leave(self) -> None:
        """Close what is open for others, in a new child: its brothers are none of its business."""
        for descriptor, (_, report, lifeline) in self._living.items():
            report.close()
            os.close(descriptor)
            os.close(lifeline)

    def _bury(self, descriptor: int) -> None:
        pid, report, lifeline = self._living.pop(descriptor)
        self._poll.unregister(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        numbers = [number.to_bytes(8, "little", signed=True) for number in (pid, code)]
        with _Quietly():  # it may be that nobody wants to know
            report.send(b"".join(numbers), socket.MSG_NOSIGNAL)
        report.close()
        os.close(descriptor)
        os.close(lifeline)

    def _end(self) -> NoReturn:
        """The parent is gone: tell the children's children, and leave the children to theirs."""
        if self._spare is not None:
            os.kill(self._spare[0], signal.SIGKILL)
            os.waitpid(self._spare[0], 0)
        for pid, _, _ in self._living.values():
            for descendant in _descendants(pid):
                with _Quietly():
                    os.kill(descendant, signal.SIGTERM)
        os._exit(0)  # with that, the children's lifelines end


def run(descriptor: int) -> list[int]:
    """Serve until the parent ends; return, in each child, the descriptors it serves with."""
    nursery = _Nursery(socket.socket(fileno=descriptor))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or nobody could tell how a child ended
    _hush()
    gc.freeze()  # so that the children do not touch, and copy, what they share
    while (ours := nursery.step()) is None:
        pass
    return ours


def _all(descriptors: list[int]) -> list[int]:
    if len(descriptors) != len(ORDER):
        raise OSError("there was no room for all descriptors")
    return descriptors


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _settle(data: bytes, *child: int) -> list[int]:
    """Make the world of a new child."""
    *ours, stdout, stderr, folder = child
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    with _Quietly():  # there may be no permission to be there any more
        os.fchdir(folder)
    _close([stdout, stderr, folder])
    if not data[0] & NO_INTERRUPTS:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if data[0] & NO_DEATHS:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return ours


def _hush() -> None:
    """From here on there is nothing to complain of, and nobody to listen."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _import_cloudpickle() -> None:
    """Import what the next children will probably need, as the parent has it."""
    try:
        import cloudpickle  # noqa: F401 - for its being there
    except Exception:  # noqa: BLE001 - then they will do without
        return
    gc.collect()
    gc.freeze()


def _descendants(pid: int) -> list[int]:
    """Find the children of a process, theirs, and so on."""
    found: list[int] = []
    todo = [pid]
    while todo:
        parent = todo.pop()
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{parent}/task/{task}/children", "rb") as file:
                    children = [int(child) for child in file.read().split()]
            except OSError:
                continue
            found += children
            todo += children
    return found
