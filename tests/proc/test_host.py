"""Where children live: what a process asks of its host."""

from __future__ import annotations

import os

import pytest

from mt.aio.proc import BgProcess, BgProcessPool, _relay
from mt.aio.proc.lowlevel import Host, LocalHost


class _Noted(LocalHost):
    """This machine, which remembers what it was asked."""

    def __init__(self):
        self.launches = []
        self.classes = []

    def by_value(self, cls):
        self.classes.append(cls)
        return super().by_value(cls)

    def launch(self, launch):
        self.launches.append(launch)
        return super().launch(launch)


def test_a_host_launches_the_child(start, caller, mode):
    """The host that is given is asked for the child, once, and what the class needs."""
    host = _Noted()
    process = start(caller, host=host)
    assert mode.run(process.send, (os.getpid,)) == process.pid
    assert [launch.name for launch in host.launches] == [caller.__qualname__]
    assert host.classes == [caller]


def test_restart_asks_the_same_host(start, caller, mode):
    """The second child comes from where the first one came from."""
    host = _Noted()
    process = start(caller, host=host)
    process.restart()
    assert mode.run(process.send, (len, "abc")) == 3
    assert len(host.launches) == 2


def test_the_members_of_a_pool_share_a_host(mode):
    """A host given to a pool launches all of its members."""
    host = _Noted()
    with BgProcessPool(BgProcess, 2, host=host) as pool:
        assert mode.run(pool.send, "x") == "x"
    assert len(host.launches) == 2


def test_nothing_is_launched_that_cannot_be_pickled(caller):
    """What pickling raises comes before the host is asked."""
    host = _Noted()
    with pytest.raises(TypeError, match="generator"):
        caller(host=host, odd=(x for x in ()))
    assert not host.launches


def test_a_host_that_refuses(caller):
    """What a host raises reaches whoever makes the process."""

    class Full(Host):
        def launch(self, launch):
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        caller(host=Full())


def test_an_interrupt_while_the_rest_is_imported(caller, monkeypatch, until, gone):
    """The child that has been started meanwhile is not left alone."""
    started = []

    def interrupted(child, *_):
        started.append(child.process.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(_relay, "Relay", interrupted)
    with pytest.raises(KeyboardInterrupt):
        caller()
    until(lambda: gone(started[0]))
