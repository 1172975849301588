"""What is used of dask below its public face: it is looked for before it is needed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from mt.aio.core import srun
from mt.aio.dask import DaskHost, _below, queue
from mt.aio.proc import qput_aio
from mt.aio.proc.lowlevel import HostLost

pytestmark = pytest.mark.slow  # all of dask is imported


def _without(monkeypatch, name):
    """Have a dask that has changed."""
    import distributed

    if name == "Scheduler.proxy(msg, worker)":
        monkeypatch.delattr(distributed.Scheduler, "proxy")
    elif name == "Worker.actor_execute(actor, function, args, kwargs)":
        monkeypatch.setattr(distributed.Worker, "actor_execute", lambda self, actor: None)
    elif name != "Client.rpc":
        monkeypatch.delattr("distributed.queues.QueueExtension.get")


NAMES = [
    "Client.rpc",
    "Scheduler.proxy(msg, worker)",
    "Worker.actor_execute(actor, function, args, kwargs)",
    "queues.QueueExtension.get(name, timeout)",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_dask_that_has_changed(monkeypatch, name):
    """What is missing, or takes other arguments, is named with the version of distributed."""
    distributed = pytest.importorskip("distributed")
    _without(monkeypatch, name)
    client = SimpleNamespace(loop=SimpleNamespace(asyncio_loop=None), scheduler=None, rpc=None)
    if name == "Client.rpc":
        del client.rpc
    with pytest.raises(RuntimeError) as caught:
        _below.check(client)
    assert f"distributed {distributed.__version__}, which has no {name}: use" in str(caught.value)


def test_it_is_told_at_the_start(client, caller, monkeypatch):
    """A child is not started, and a queue not made, by calls that do not exist."""
    _without(monkeypatch, "Scheduler.proxy(msg, worker)")
    expected = pytest.raises(HostLost, match=r"could not be started: .*no Scheduler\.proxy")
    with caller(host=DaskHost(client)) as process, expected:
        srun(process.send, (len, ""))
    with pytest.raises(RuntimeError, match=r"has no Scheduler\.proxy"):
        asyncio.run(qput_aio(queue("never made", client), 1))
