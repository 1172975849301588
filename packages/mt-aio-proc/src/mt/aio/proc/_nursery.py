"""A clean interpreter, started once, from which children are forked: cheap, and without harm.

It has one thread, has run none of the user's code, and knows what every child needs. For each
request it forks; it tells the parent the child's process id and how the child ended. The request
is one byte, with the descriptors that the child is to have; see `ORDER`.

The nursery ends with the parent, whose end of the control socket is the only one. It then tells
the children's own children to terminate, before the children go, too.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # `signal` imports enum
import _socket as socket
import gc
import os
import select

from mt.aio.proc import _process, _serve  # noqa: F401 - so that the children have them
from mt.aio.proc._passing import receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ORDER = ("channel", "aside", "lifeline", "stdout", "stderr", "folder", "report", "lifeline's end")
"""What the descriptors of a request are for."""


class _Quietly:
    """Lets an OSError pass in silence; `contextlib` need not be imported for that."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


class _Children:
    """The children that live: by the descriptor of each, what it takes to tell of its end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._living: dict[int, tuple[int, socket.socket, int]] = {}

    def watch(self) -> bool:
        """Wait, and bury those who have died; True if the parent has something to say."""
        wanted = False
        for descriptor, _ in self._poll.poll():
            if descriptor == self._control.fileno():
                wanted = True
            else:
                self._bury(descriptor)
        return wanted

    def add(self, pid: int, report: socket.socket, lifeline: int) -> None:
        """Tell the parent of a new child, and watch it."""
        descriptor = os.pidfd_open(pid)
        self._poll.register(descriptor, select.POLLIN)
        self._living[descriptor] = pid, report, lifeline
        with _Quietly():  # the parent may be gone
            send(report, pid.to_bytes(8, "little", signed=True), [descriptor])

    def leave(self) -> None:
        """Close everything, in a new child: its brothers are none of its business."""
        self._control.close()
        for descriptor, (_, report, lifeline) in self._living.items():
            report.close()
            os.close(descriptor)
            os.close(lifeline)

    def end(self) -> NoReturn:
        """The parent is gone: tell the children's children, and leave the children to theirs."""
        for pid, _, _ in self._living.values():
            for descendant in _descendants(pid):
                with _Quietly():
                    os.kill(descendant, signal.SIGTERM)
        os._exit(0)  # with that, the children's lifelines end

    def _bury(self, descriptor: int) -> None:
        pid, report, lifeline = self._living.pop(descriptor)
        self._poll.unregister(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with _Quietly():  # it may be that nobody wants to know
            report.send(code.to_bytes(8, "little", signed=True), socket.MSG_NOSIGNAL)
        report.close()
        os.close(descriptor)
        os.close(lifeline)


def run(descriptor: int) -> list[int]:
    """Serve until the parent ends; return, in each child, the descriptors it serves with."""
    control = socket.socket(fileno=descriptor)
    children = _Children(control)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _hush()
    prepared = False
    gc.freeze()  # so that the children do not touch, and copy, what they share
    while True:
        if not children.watch():
            continue
        data, descriptors = receive(control, 1)
        if not data:
            children.end()
        try:
            *child, report, lifeline = _all(descriptors)
            pid = os.fork()
        except OSError:  # too many descriptors or processes; the parent sees that nothing came
            _close(descriptors)
            continue
        if pid == 0:
            children.leave()
            os.close(report)
            os.close(lifeline)
            return _settle(data, *child)
        _close(child)
        children.add(pid, socket.socket(fileno=report), lifeline)
        if data[0] & 2 and not prepared:
            prepared = True
            _prepare()


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
    if not data[0] & 1:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.unfreeze()
    return ours


def _hush() -> None:
    """From here on there is nothing to complain of, and nobody to listen."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _prepare() -> None:
    """Import, while nobody waits, what the next children will probably need."""
    try:
        import cloudpickle  # noqa: F401
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
