"""The child's end of the channel, and its interrupts, where other code comes in between."""

from __future__ import annotations

import os
import signal
import socket
import threading

import pytest

from mt.aio.proc._channel import Channel
from mt.aio.proc._frames import RETURNED, TOLD, Parser
from mt.aio.proc._serve import Interrupts


@pytest.fixture
def ends():
    """Give the parent's socket and the child's channel."""
    ours, theirs = socket.socketpair()
    channel = Channel(theirs.detach(), -1)
    yield ours, channel
    ours.close()
    if channel.descriptor >= 0:
        channel.close()


def test_a_frame_that_comes_in_between(ends, monkeypatch):
    """A signal handler or a destructor that logs while a reply is written: it was stuck for ever.

    What it has to tell follows.
    """
    ours, channel = ends
    write = os.write

    def half(descriptor, buffer):
        monkeypatch.undo()
        channel.write(TOLD, 0, [b"told"])
        channel.write(TOLD, 0, [b"more"])
        return write(descriptor, buffer[: len(buffer) // 2])

    monkeypatch.setattr(os, "write", half)
    channel.write(RETURNED, 1, [b"reply"])
    frames = Parser().feed(ours.recv(1 << 12))
    assert [(frame.kind, bytes(frame.segments[0])) for frame in frames] == [
        (RETURNED, b"reply"),
        (TOLD, b"told"),
        (TOLD, b"more"),
    ]


def test_nothing_is_written_after_the_end(ends, tmp_path):
    """The descriptor may be that of a file by then."""
    _, channel = ends
    before = channel.descriptor
    channel.close()
    with open(tmp_path / "file", "wb") as file:
        assert file.fileno() == before
        with pytest.raises(OSError, match="Bad file descriptor"):
            channel.write(TOLD, 0, [b"told"])
    assert (tmp_path / "file").read_bytes() == b""


@pytest.fixture
def interrupts():
    """Give the interrupts of a child; what they tell is counted."""
    before = signal.getsignal(signal.SIGINT)
    told = []
    interrupts = Interrupts(lambda: told.append(1))
    interrupts.told = told
    yield interrupts
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_was_held_back(interrupts):
    """While a handler's log record was written, it was lost: the handler did not hear of it."""
    interrupts.open = True
    assert interrupts.hold_back()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupts.let_through()
    assert not interrupts.open
    interrupts.idle()
    assert interrupts.told == []


def test_nothing_is_held_back_where_no_handler_runs(interrupts):
    """An interrupt is nobody's then, and told of."""
    assert not interrupts.hold_back()
    interrupts.idle()
    signal.raise_signal(signal.SIGINT)
    assert interrupts.told == [1]


def test_a_thread_holds_nothing_back(interrupts):
    """A thread that logged, and ended after the handler, let interrupts through from then on.

    The next one ended the child, which was idle.
    """
    interrupts.open = True
    held = []
    thread = threading.Thread(target=lambda: held.append(interrupts.hold_back()))
    thread.start()
    thread.join()
    assert held == [False]
    assert interrupts.open
