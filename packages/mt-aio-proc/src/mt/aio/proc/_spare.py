"""A child that the nursery forks ahead of the request.

What a fork touches first has to be copied, page by page, and that takes longer than the fork
itself. So a spare rehearses: it holds a short conversation with itself, and looks for a module as
an import does. By the time the request comes, what a child needs at its start is its own.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # `signal` imports enum
import _socket as socket
import os
import sys

from mt.aio.proc import _frames as frames
from mt.aio.proc._passing import introduce, receive, send
from mt.aio.proc._pickling import dumps
from mt.aio.proc._process import BgProcess
from mt.aio.proc._serve import serve

NOWHERE = "mt_aio_proc_nowhere"  # the name of no module


def look_through_folders() -> None:
    """Have the import system look for what is nowhere: what it finds on the way, it remembers."""
    for finder in sys.meta_path:
        try:
            finder.find_spec(NOWHERE, None)
        except Exception:  # noqa: BLE001, S112 - some finder of somebody's; it is his business
            continue


def rehearse() -> None:
    """Do once what a child does at its start; SIGINT is ignored, and blocked again afterwards."""
    ours, theirs = socket.socketpair()
    instance = BgProcess.__new__(BgProcess)
    for kind, number, content in ((frames.SETUP, 0, instance), (frames.MESSAGE, 1, None)):
        ours.send(frames.pack_small(kind, number, dumps(content)[0]))
    ours.shutdown(socket.SHUT_WR)
    serve(theirs.detach(), -1, {"forward": ()})
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    look_through_folders()
    module = sys.modules[__name__]
    if module.__loader__ is not None:
        module.__loader__.get_code(__name__)  # type: ignore[attr-defined] # only InspectLoader's


def wait_for_use(
    control: socket.socket, tell: socket.socket, count: int
) -> tuple[bytes, list[int]]:
    """Take a request, and let the nursery have what it needs to know of it.

    Args:
        control: where requests come.
        tell: where the nursery listens.
        count: of descriptors that a request has; the last two are the nursery's.

    Returns:
        The request's flags and the child's descriptors.
    """
    data, descriptors = receive(control, 1)
    if len(descriptors) != count:  # the parent is gone, or there is no room for descriptors
        os._exit(1)
    *child, report, lifeline = descriptors
    try:  # noqa: SIM105 - `contextlib` need not be imported for that
        send(tell, data, [report, lifeline])
    except OSError:  # the nursery is gone; its children live on
        pass
    control.close()
    tell.close()
    introduce(report)
    os.close(lifeline)
    return data, child
