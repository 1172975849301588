"""Ctrl-C in the main thread: it is raised, and nothing is left half done by that."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

import pytest

from mt.aio.core import srun
from mt.aio.proc import _shield
from mt.aio.proc._shield import Shield

LIMIT = 10


@pytest.fixture
def calls():
    """Have SIGINT handled by what takes note of the calls; restore what was there."""
    calls = []
    before = signal.signal(signal.SIGINT, lambda *args: calls.append(args))
    yield calls
    signal.signal(signal.SIGINT, before)


def test_one_is_kept_back(calls):
    """The handler is called at the end, with its arguments, and is in its place again."""
    woken = []
    before = signal.getsignal(signal.SIGINT)
    with Shield(lambda: woken.append(1)):
        signal.raise_signal(signal.SIGINT)
        assert (calls, woken) == ([], [1])
    assert [number for number, _frame in calls] == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


def test_one_that_is_let_through(calls):
    """It is not handed over twice."""
    with Shield(lambda: None) as shield:
        signal.raise_signal(signal.SIGINT)
        shield.let_through()
        assert len(calls) == 1
    assert len(calls) == 1


def test_an_impatient_user(calls, monkeypatch):
    """Where `on_write`, say, does not come back, another Ctrl-C a second later helps."""
    with Shield(lambda: None):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert calls == []
        monkeypatch.setattr(_shield, "PATIENCE", -1)
        signal.raise_signal(signal.SIGINT)
        assert len(calls) == 1


def test_one_in_another(calls):
    """As when `on_write` sends something to another process."""
    with Shield(lambda: None) as outer:
        with Shield(lambda: None):
            signal.raise_signal(signal.SIGINT)
        assert calls == []
        assert outer.kept is not None
    assert len(calls) == 1


def test_a_handler_that_was_replaced_meanwhile(calls):
    """The new one stays."""
    replacement = lambda *args: None  # noqa: E731 - as short as can be
    with Shield(lambda: None):
        signal.signal(signal.SIGINT, replacement)
    assert signal.getsignal(signal.SIGINT) is replacement


@pytest.mark.usefixtures("calls")
def test_where_nothing_is_to_be_kept_back():
    """An ignored signal stays ignored; other threads get none."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Shield(lambda: None):
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, handler)
    seen = []

    def look():
        with Shield(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [handler]


def test_a_thread_that_is_taken_for_the_main_one(calls, monkeypatch):
    """As can be where the interpreter is part of another program: the system's rules hold."""
    done = []

    def look():
        with monkeypatch.context() as patch:
            patch.setattr(_shield.threading, "main_thread", threading.current_thread)
            with Shield(lambda: None) as shield:
                done.append(shield.kept)

    handler = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert done == [None]
    assert signal.getsignal(signal.SIGINT) is handler
    assert calls == []


def test_what_has_been_read_is_not_lost(start):
    """An interrupt between reading a reply and handing it out lost the reply, or a part of it.

    From then on nobody understood what the child said.
    """
    process = start()
    link = process._link
    relay, receive = link._line, link._line._recv
    waiter = link.waiter({"async": False})
    link.send(waiter, (len, "abc"))

    def interrupted(size):
        data = receive(size)
        signal.raise_signal(signal.SIGINT)
        return data

    relay._recv = interrupted
    with pytest.raises(KeyboardInterrupt):
        link.driver.wait(waiter._settled, LIMIT)
    relay._recv = receive
    assert link.driver.wait(waiter._settled, LIMIT)
    assert link.result(waiter._outcomes[0]) == 3


def test_an_interrupt_as_the_watching_begins(start, monkeypatch):
    """Who watched stayed the one who watches for ever, and nobody did."""
    process = start()
    driver = process._link.driver
    release = driver._turn.release

    def interrupted():
        release()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(driver._turn, "release", interrupted)
    with pytest.raises(KeyboardInterrupt):
        srun(process.send, (len, "abc"), recv_timeout=LIMIT)
    monkeypatch.undo()
    assert srun(process.send, (len, "abc"), recv_timeout=LIMIT) == 3


def test_a_thread_that_does_not_watch(start, until):
    """The main thread is woken while it waits for another that watches."""
    process = start()
    driver = process._link.driver
    errors = []

    def other():
        try:
            srun(process.send, (signal.pause,))
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    until(lambda: driver._leader == thread.ident)
    main = threading.get_ident()

    def interrupt():
        until(lambda: driver._turn._waiters)
        signal.pthread_kill(main, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):  # not before: this thread has to wait first
        srun(process.send, (len, "abc"), recv_timeout=LIMIT)
    helper.join()
    with suppress(RuntimeError):
        process.close(0)
    thread.join()
    assert len(errors) == 1
