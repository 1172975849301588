"""What goes wrong on a cluster, and how soon it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from mt.aio.core import srun
from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess
from mt.aio.proc.lowlevel import HostLost

pytestmark = [pytest.mark.slow, pytest.mark.faults]


BUSY = 5  # seconds by which a machine that has other work to do may be late


def _loses(process, break_it, seconds):
    """Break something while a message is under way; the sender must be told in time, for good."""

    async def main():
        await process.send((len, ""))
        task = asyncio.ensure_future(process.send((time.sleep, 60)))
        await asyncio.sleep(0.2)
        begin = time.monotonic()
        await asyncio.to_thread(break_it)
        with pytest.raises(HostLost) as caught:
            await task
        took = time.monotonic() - begin
        begin = time.monotonic()
        with pytest.raises(HostLost):
            await process.send((len, ""))
        return took, time.monotonic() - begin, str(caught.value)

    took, again, text = asyncio.run(main())
    assert took < seconds + BUSY
    assert again < 2, "it is known, and not found out once more"
    return text


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "proxied"])
def test_a_worker_that_is_killed(  # noqa: PLR0917 - fixtures
    cluster, client, doomed, caller, direct, vanishes
):
    """SIGKILL of a worker: told within 2 s; its child is gone, too."""
    name = doomed.pop()
    with caller(host=DaskHost(client, direct=direct, workers=name)) as process:
        pid = srun(process.send, (os.getpid,))
        _loses(process, cluster.workers[name].kill, 2)
        vanishes(pid, 2)


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "proxied"])
def test_a_worker_that_is_frozen(cluster, client, doomed, caller, direct):
    """SIGSTOP of a worker: told within wait + grace and a second; it stays lost when it thaws."""
    name = doomed.pop()
    host = DaskHost(client, direct=direct, workers=name, wait=1, grace=1.5)
    frozen = cluster.workers[name]
    with caller(host=host) as process:
        text = _loses(process, lambda: frozen.send_signal(signal.SIGSTOP), 3.5)
        assert "has not answered for 2.5 s" in text
        frozen.send_signal(signal.SIGCONT)
        with pytest.raises(HostLost):
            srun(process.send, (len, ""))


def test_a_link_that_is_cut(far_cluster, caller):
    """A machine that is cut off: told within wait + grace and a second; mended, it stays lost."""
    options = {"wait": 1, "grace": 1.5}
    with far_cluster.client() as client, caller(host=DaskHost(client, **options)) as process:
        _loses(process, lambda: far_cluster.link("down"), 3.5)
        far_cluster.link("up")
        with pytest.raises(HostLost):
            srun(process.send, (len, ""))


def test_a_scheduler_that_is_killed(own_cluster, caller, vanishes):
    """SIGKILL of the scheduler ends the workers: told within 5 s, no child is left."""
    with own_cluster.client() as client, caller(host=DaskHost(client)) as process:
        pid = srun(process.send, (os.getpid,))
        _loses(process, own_cluster.scheduler.kill, 5)
        vanishes(pid, 5)


_PROGRAM = """
import os, sys, time
from distributed import Client
from mt.aio.core import srun
from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess

class Caller(BgProcess):
    def child_handle_message(self, msg):
        func, *args = msg
        return func(*args)

process = Caller(host=DaskHost(sys.argv[1]))
print(srun(process.send, (os.getpid,)), flush=True)
if sys.argv[2] == "busy":
    srun(process.send, (time.sleep, 60))
time.sleep(60)
"""


@pytest.mark.parametrize("doing", ["idle", "busy"])
def test_a_caller_that_is_killed(cluster, doing, vanishes):
    """SIGKILL of the caller: its child is gone within seconds, idle or busy."""
    caller = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, cluster.address, doing], stdout=subprocess.PIPE
    )
    with caller:
        pid = int(caller.stdout.readline())
        caller.kill()
        vanishes(pid, 6)


def test_no_worker_fits(client, caller):
    """A worker that is not there, or lacks something: the start times out, and says why."""
    hosts = {
        "workers": DaskHost(client, workers="nobody", timeout=0.5),
        "resources": DaskHost(client, resources={"TPU": 1}, timeout=0.5),
    }
    for name, host in hosts.items():
        begin = time.monotonic()
        expected = pytest.raises(HostLost, match=f"within 0.5 s: no worker took it \\({name}=")
        with caller(host=host) as process, expected:
            srun(process.send, (len, ""))
        assert time.monotonic() - begin < 0.5 + BUSY


@pytest.fixture
def ancestors():
    """Give a function that tells the process ids of a process's parents, up to the first."""

    def ancestors():
        found, pid = [], os.getpid()
        while pid > 1:
            with open(f"/proc/{pid}/stat") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
            found.append(pid)
        return found

    return ancestors


def test_the_chosen_worker(cluster, client, caller, ancestors):
    """`workers` and `resources` say on which worker a child may be."""
    for chosen in ({"workers": "w0"}, {"resources": {"GPU": 1}}):
        with caller(host=DaskHost(client, **chosen)) as process:
            assert cluster.workers["w0"].pid in srun(process.send, (ancestors,))


def test_restart_on_another_worker(cluster, client, doomed, caller, ancestors):
    """After a loss, `restart` has another child on a worker that is left."""
    names = [doomed.pop(), doomed.pop()]
    with caller(host=DaskHost(client, workers=names)) as process:
        parents = srun(process.send, (ancestors,))
        lost = next(w for w in map(cluster.workers.get, names) if w.pid in parents)
        _loses(process, lost.kill, 2)
        process.restart()
        assert lost.pid not in srun(process.send, (ancestors,))


def test_a_client_that_is_closed(cluster, caller):
    """Closing the client loses the child, and who waits is told."""
    client = cluster.client(2)
    with caller(host=DaskHost(client)) as process:
        _loses(process, client.close, 2)


def test_a_host_that_is_closed(cluster, caller):
    """A host that made its client itself closes it; the child is lost, and another one can come."""
    host = DaskHost(cluster.address)
    with caller(host=host) as process:
        _loses(process, host.close, 3)
        process.restart()
        assert srun(process.send, (len, "abc")) == 3
    host.close()
    host.close()


def test_another_python(client, caller, monkeypatch):
    """A worker with another minor version of Python is refused when the child is started."""
    import mt.aio.dask._carrier as module

    class Fake:
        version_info = (3, 99, 0)

    monkeypatch.setattr(module, "sys", Fake)
    expected = pytest.raises(HostLost, match=r"runs Python 3\.\d+ and this program 3\.99")
    with caller(host=DaskHost(client)) as process, expected:
        srun(process.send, (len, ""))


def test_no_scheduler():
    """An address where there is no scheduler: told when the time is up."""
    host = DaskHost("tcp://127.0.0.1:9", timeout=0.5)
    with BgProcess(host=host) as process, pytest.raises(HostLost, match="cannot be reached"):
        srun(process.send, "x")
