"""What the machines of a cluster need, and how they are reached."""

from __future__ import annotations

import asyncio
import importlib.util
import os

import pytest

from mt.aio.core import srun
from mt.aio.dask import DaskHost, _below, queue
from mt.aio.proc import qget_aio, qput_aio
from mt.aio.proc.lowlevel import HostLost

pytestmark = [pytest.mark.slow, pytest.mark.mt_aio_loop_elsewhere]


def test_nothing_of_ours_is_installed_there(client, factory, caller):
    """The workers have dask and no mt.aio; their children get what was sent along."""

    def what_is_there():
        import mt.aio.core
        import mt.aio.proc

        return mt.aio.core.__file__, mt.aio.proc.__file__

    assert client.submit(importlib.util.find_spec, "mt", pure=False).result(30) is None
    with caller(host=DaskHost(client)) as process:
        files = srun(process.send, (what_is_there,))
    assert all(file.startswith(str(factory.folder)) for file in files)
    assert client.submit(importlib.util.find_spec, "mt", pure=False).result(30) is None


async def _refused():
    raise OSError("no way there")


async def _silent():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("connect", "timeout", "told"),
    [(_refused, 20, "no way there"), (_silent, 0.5, "could not be started within 0.5 s")],
)
def test_a_worker_that_cannot_be_reached(client, caller, connect, timeout, told, monkeypatch):
    """The scheduler passes the calls on, unless they were to be direct: that is told, then."""
    host = DaskHost(client, grace=20)
    insisting = DaskHost(client, direct=True, timeout=timeout)
    execute = _below.execute

    async def far(*args, direct):
        if direct:
            await connect()
        return await execute(*args, direct=direct)

    monkeypatch.setattr(_below, "execute", far)
    # The process has its 20 s by then: only the first call, which is tried directly, has less.
    monkeypatch.setattr(_below, "check", lambda client: setattr(host, "grace", 0.1))
    with caller(host=host) as process:
        assert srun(process.send, (len, "abc")) == 3
    with caller(host=insisting) as process, pytest.raises(HostLost, match=told):
        srun(process.send, (len, ""))


@pytest.fixture
def security():
    """Make certificates that are known nowhere else."""
    pytest.importorskip("cryptography")
    from distributed.security import Security

    return Security.temporary()


def test_a_cluster_with_certificates(own_cluster, caller, security):
    """All goes by TLS, direct and proxied, queues too; who has no certificate is kept out."""
    names = [field for field in security.__slots__ if field.startswith("tls_")]
    parts = {name: value for name in names if (value := getattr(security, name)) is not None}
    cluster = own_cluster(1, security={"require_encryption": True} | parts, protocol="tls")
    assert cluster.address.startswith("tls://")
    data = os.urandom(1 << 20)
    with cluster.client(security=security) as client:
        for direct in (True, False):
            with caller(host=DaskHost(client, direct=direct)) as process:
                assert srun(process.send, (bytes, data)) == data
        jobs = queue("jobs", client)
        srun(qput_aio, jobs, [data])
        assert srun(qget_aio, jobs) == [data]
    stranger = DaskHost(cluster.address.replace("tls", "tcp"), timeout=0.5)
    with caller(host=stranger) as process, pytest.raises(HostLost, match="cannot be reached"):
        srun(process.send, (len, ""))


def test_from_a_task(caller, tmp_path):
    """A task may have a child and use a queue: both go by the client of its worker."""
    from distributed import Client, get_client

    def task(jobs):
        with caller(host=DaskHost(get_client())) as process:
            srun(qput_aio, jobs, srun(process.send, (len, "abc")))

    async def main():
        local = {"processes": False, "n_workers": 1, "dashboard_address": ":0"}
        local["local_directory"] = str(tmp_path)
        async with Client(asynchronous=True, set_as_default=False, **local) as client:
            await client.submit(task, queue("of the task"), pure=False)
            return await qget_aio(queue("of the task", client), timeout=10)

    assert asyncio.run(main()) == 3
