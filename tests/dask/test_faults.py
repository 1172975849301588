"""What goes wrong on a cluster, and how soon it is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

import pytest

from mt.aio.core import srun
from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess
from mt.aio.proc.lowlevel import HostLost

pytestmark = [pytest.mark.slow, pytest.mark.faults]


SOON = 20  # seconds; dask by itself tells after 30, or never


def _lose(processes, break_it, gate):
    """Break something while each is handling a message; all are told, for good; give the texts."""

    async def main():
        sends = [asyncio.ensure_future(process.send((gate,))) for process in processes]
        for process in processes:
            await process.begins()
        await asyncio.to_thread(break_it)
        async with asyncio.timeout(SOON):
            texts = [str(each) for each in await asyncio.gather(*sends, return_exceptions=True)]
        for send, process in zip(sends, processes, strict=True):
            assert isinstance(send.exception(), HostLost)
            with pytest.raises(HostLost):
                process.send((len, "")).send(None)  # it does not even suspend
        return texts

    return asyncio.run(main())


@pytest.fixture
def both_ways(client, caller):
    """Start two processes on the same worker, one called directly and one by the scheduler."""
    with contextlib.ExitStack() as stack:

        def start(name, **options):
            hosts = [DaskHost(client, direct=d, workers=name, **options) for d in (True, False)]
            return [stack.enter_context(caller(host=host)) for host in hosts]

        yield start


def test_a_worker_that_is_killed(cluster, both_ways, doomed, gate, vanishes):
    """SIGKILL of a worker is told; its children are gone, too."""
    processes = both_ways(doomed[0])
    pids = [srun(process.send, (os.getpid,)) for process in processes]
    _lose(processes, cluster.workers[doomed[0]].kill, gate)
    for pid in pids:
        vanishes(pid, SOON)


def test_a_worker_that_is_frozen(cluster, both_ways, doomed, gate):
    """SIGSTOP of a worker is told after wait + grace; it stays lost when it thaws."""
    processes = both_ways(doomed[0], wait=0.5, grace=3)
    frozen = cluster.workers[doomed[0]]
    for text in _lose(processes, lambda: frozen.send_signal(signal.SIGSTOP), gate):
        assert "has not answered for 3.5 s" in text
    frozen.send_signal(signal.SIGCONT)
    for process in processes:
        with pytest.raises(HostLost):
            srun(process.send, (len, ""))


def test_a_link_that_is_cut(far_cluster, caller, gate):
    """A machine that is cut off: told after wait + grace; when it is mended, it stays lost."""
    options = {"wait": 0.5, "grace": 3}
    with far_cluster.client() as client, caller(host=DaskHost(client, **options)) as process:
        (text,) = _lose([process], lambda: far_cluster.link("down"), gate)
        assert "has not answered for 3.5 s" in text
        far_cluster.link("up")
        with pytest.raises(HostLost):
            srun(process.send, (len, ""))


def test_a_scheduler_that_is_killed(own_cluster, caller, gate, vanishes):
    """SIGKILL of the scheduler ends the workers: who waits is told, no child is left."""
    cluster = own_cluster()
    with cluster.client() as client, caller(host=DaskHost(client)) as process:
        pid = srun(process.send, (os.getpid,))
        _lose([process], cluster.scheduler.kill, gate)
        vanishes(pid, SOON)


def test_a_cluster_that_is_restarted(own_cluster, caller, gate, vanishes):
    """`client.restart()` loses the children and ends them; new ones come to the new workers."""
    cluster = own_cluster(0)
    cluster.add("nanny", "Nanny")
    with cluster.client() as client, caller(host=DaskHost(client)) as process:
        pid = srun(process.send, (os.getpid,))
        _lose([process], client.restart, gate)
        vanishes(pid, SOON)
        process.restart()
        assert srun(process.send, (len, "abc")) == 3


_PROGRAM = """
import asyncio, os, sys, time
from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess

class Caller(BgProcess):
    def child_handle_message(self, msg):
        func, *args = msg
        return func(*args)

async def main():
    idle, busy = [Caller(host=DaskHost(sys.argv[1])) for _ in range(2)]
    print(await idle.send((os.getpid,)), await busy.send((os.getpid,)), flush=True)
    await busy.send((time.sleep, 600))

asyncio.run(main())
"""


def test_a_caller_that_is_killed(cluster, vanishes):
    """SIGKILL of the caller: its children are gone soon, the idle one and the busy one."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, cluster.address], stdout=subprocess.PIPE
    ) as caller:
        pids = [int(pid) for pid in caller.stdout.readline().split()]
        caller.kill()
    for pid in pids:
        vanishes(pid, SOON)


def test_no_worker_fits(client, caller):
    """A worker that is not there, or lacks something: the start times out, and says why."""
    hosts = {
        "workers": DaskHost(client, workers="nobody", timeout=0.5),
        "resources": DaskHost(client, resources={"TPU": 1}, timeout=0.5),
    }
    with contextlib.ExitStack() as stack:
        processes = [(name, stack.enter_context(caller(host=hosts[name]))) for name in hosts]
        for name, process in processes:
            expected = f"within 0.5 s: no worker took it \\({name}="
            with pytest.raises(HostLost, match=expected):
                srun(process.send, (len, ""), SOON)


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
    host = {"workers": "localhost", "resources": {"GPU": 1}}
    for chosen in ({"workers": "w0"}, {"resources": {"GPU": 1}}, host):
        with caller(host=DaskHost(client, **chosen)) as process:
            assert cluster.workers["w0"].pid in srun(process.send, (ancestors,))


def test_restart_on_another_worker(  # noqa: PLR0917 - fixtures
    cluster, client, doomed, caller, ancestors, gate
):
    """After a loss, `restart` has another child on a worker that is left."""
    with caller(host=DaskHost(client, workers=doomed)) as process:
        parents = srun(process.send, (ancestors,))
        lost = next(w for w in map(cluster.workers.get, doomed) if w.pid in parents)
        _lose([process], lost.kill, gate)
        process.restart()
        assert lost.pid not in srun(process.send, (ancestors,))


def test_a_client_that_is_closed(cluster, caller, gate, vanishes):
    """Closing the client loses the child and ends it, and who waits is told."""
    client = cluster.client(2)
    with caller(host=DaskHost(client)) as process:
        pid = srun(process.send, (os.getpid,))
        _lose([process], client.close, gate)
        vanishes(pid, SOON)


def test_a_host_that_is_closed(cluster, caller, gate):
    """A host that made its client itself closes it; the child is lost, and another one can come."""
    host = DaskHost(cluster.address)
    with caller(host=host) as process:
        _lose([process], host.close, gate)
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
