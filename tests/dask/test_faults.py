"""What goes wrong on a cluster, and that it is told as soon as the documentation says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mt.aio.core import srun
from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess
from mt.aio.proc.lowlevel import HostLost

pytestmark = [pytest.mark.slow, pytest.mark.faults]


SOON = 20  # seconds by the clock, on any machine; dask by itself tells after 30, or never
TABLE = Path(__file__).parents[2] / "docs" / "explain" / "cluster.md"


def _stated(event, column="how soon"):
    """In how many seconds something happens, by the documentation's table of failures."""
    lines = [line[1:-1] for line in TABLE.read_text("utf-8").splitlines() if line[:2] == "| "]
    head, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    (row,) = [row for row in rows if row[0] == event]
    cell = row[head.index(column)]
    return 0.0 if cell.startswith("at once") else float(re.search(r"([\d.]+) s\b", cell)[1])


@pytest.fixture
def lose(gate, stopwatch):
    """Break something while each is handling a message; all are told in time; give the texts."""

    def lose(processes, break_it, seconds):
        async def main():
            sends = [asyncio.ensure_future(process.send((gate,))) for process in processes]
            for process in processes:
                await process.begins()
            watch = stopwatch()
            async with asyncio.timeout(SOON):
                breaking = asyncio.create_task(asyncio.to_thread(break_it))
                texts = [str(each) for each in await asyncio.gather(*sends, return_exceptions=True)]
            watch.check(seconds)
            for send, process in zip(sends, processes, strict=True):
                assert isinstance(send.exception(), HostLost)
                with pytest.raises(HostLost):  # for good
                    process.send((len, "")).send(None)  # it does not even suspend
            await breaking
            return texts

        return asyncio.run(main())

    return lose


@pytest.fixture
def both_ways(caller):
    """Start two processes, one of which is called directly and one by way of the scheduler.

    They are patient, so that it is not for want of an answer if something is told at once.
    """
    with contextlib.ExitStack() as stack:

        def start(client, **options):
            options = {"grace": 20} | options
            hosts = [DaskHost(client, direct=direct, **options) for direct in (True, False)]
            return [stack.enter_context(caller(host=host)) for host in hosts]

        yield start


def _pids(processes):
    return [srun(process.send, (os.getpid,)) for process in processes]


def test_a_worker_that_is_killed(cluster, client, both_ways, doomed, lose, vanishes):
    """SIGKILL of a worker is told; its children are gone, too."""
    processes = both_ways(client, workers=doomed[0])
    pids = _pids(processes)
    event = "the worker is killed"
    lose(processes, cluster.workers[doomed[0]].kill, _stated(event))
    for pid in pids:
        vanishes(pid, _stated(event, "its child ends"))


SHORT = {"wait": 0.5, "grace": 3}  # it cannot be much shorter: the child has to come up, too
UNANSWERED = "has not answered for 3.5 s"


@pytest.mark.parametrize("event", ["the worker freezes, or its machine does", "the network is cut"])
def test_as_long_as_stated(event):
    """What is lost because it does not answer is lost after wait + grace."""
    host = DaskHost("tcp://127.0.0.1:9")
    assert _stated(event) == host.wait + host.grace


def test_a_worker_that_is_frozen(cluster, client, both_ways, doomed, lose, vanishes):
    """SIGSTOP of a worker is told after wait + grace; when it thaws, its children end."""
    processes = both_ways(client, workers=doomed[0], **SHORT)
    pids = _pids(processes)
    frozen = cluster.workers[doomed[0]]
    for text in lose(processes, lambda: frozen.send_signal(signal.SIGSTOP), 3.5):
        assert UNANSWERED in text
    frozen.send_signal(signal.SIGCONT)
    for process, pid in zip(processes, pids, strict=True):
        vanishes(pid)
        with pytest.raises(HostLost):
            srun(process.send, (len, ""))


def test_a_link_that_is_cut(far_cluster, both_ways, lose):
    """A machine that is cut off: told after wait + grace; when it is mended, it stays lost."""
    with far_cluster.client() as client:
        processes = both_ways(client, **SHORT)
        for text in lose(processes, lambda: far_cluster.link("down"), 3.5):
            assert UNANSWERED in text
        far_cluster.link("up")
        for process in processes:
            with pytest.raises(HostLost):
                srun(process.send, (len, ""))


def test_a_scheduler_that_is_killed(own_cluster, both_ways, lose, vanishes):
    """SIGKILL of the scheduler ends the workers: who waits is told, no child is left."""
    cluster = own_cluster()
    event = "the scheduler is killed"
    with cluster.client() as client:
        processes = both_ways(client)
        pids = _pids(processes)
        lose(processes, cluster.scheduler.kill, _stated(event))
        for pid in pids:
            vanishes(pid, _stated(event, "its child ends"))


def test_a_cluster_that_is_restarted(own_cluster, both_ways, lose, vanishes):
    """`client.restart()` loses the children and ends them; new ones come to the new workers."""
    cluster = own_cluster(0)
    cluster.add("nanny", "Nanny")
    event = "`client.restart()`"
    with cluster.client() as client:
        processes = both_ways(client)
        pids = _pids(processes)
        lose(processes, client.restart, _stated(event))
        for pid in pids:
            vanishes(pid, _stated(event, "its child ends"))
        for process in processes:
            process.restart()
            assert srun(process.send, (len, "abc")) == 3


_PROGRAM = """
import asyncio, os, sys, time
from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess

def busy():
    print("begun", flush=True)
    time.sleep(600)

class Caller(BgProcess):
    def child_handle_message(self, msg):
        return msg()

    def on_write(self, stream, text):
        print(text, end="", flush=True)

async def main():
    hosts = [DaskHost(sys.argv[1], direct=direct, grace=20) for direct in (True, False)]
    processes = [Caller(host=host) for host in hosts * 2]
    print(*[await process.send(os.getpid) for process in processes], flush=True)
    await asyncio.gather(*(process.send(busy) for process in processes[:2]))

asyncio.run(main())
"""


def test_a_caller_that_is_killed(cluster, stopwatch, vanishes):
    """SIGKILL of the caller: its children are gone soon, the idle ones and the busy ones."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, cluster.address], stdout=subprocess.PIPE
    ) as caller:
        pids = [int(pid) for pid in caller.stdout.readline().split()]
        assert [caller.stdout.readline() for _ in range(2)] == [b"begun\n"] * 2
        caller.kill()
    watch = stopwatch()
    for pid in pids:
        vanishes(pid)
    watch.check(_stated("the caller is killed", "its child ends"))
    assert len(pids) == 4


def test_no_worker_fits(client, caller, stopwatch):
    """A worker that is not there, or lacks something: the start times out, and says why."""
    assert _stated("no worker fits, or none is there") == DaskHost("tcp://127.0.0.1:9").timeout
    watch = stopwatch()
    hosts = {
        "workers": DaskHost(client, workers="nobody", timeout=1.5),
        "resources": DaskHost(client, resources={"TPU": 1}, timeout=1.5),
    }
    with contextlib.ExitStack() as stack:
        processes = [(name, stack.enter_context(caller(host=hosts[name]))) for name in hosts]
        for name, process in processes:
            expected = f"within 1.5 s: no worker took it \\({name}="
            with pytest.raises(HostLost, match=expected):
                srun(process.send, (len, ""), SOON)
            watch.check(1.5)


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


def test_restart_on_another_worker(cluster, client, doomed, caller, ancestors, lose):
    """After a loss, `restart` has another child on a worker that is left."""
    with caller(host=DaskHost(client, workers=doomed)) as process:
        parents = srun(process.send, (ancestors,))
        lost = next(w for w in map(cluster.workers.get, doomed) if w.pid in parents)
        lose([process], lost.kill, _stated("the worker is killed"))
        process.restart()
        assert lost.pid not in srun(process.send, (ancestors,))


def test_a_client_that_is_closed(cluster, both_ways, lose, vanishes):
    """Closing the client loses the children and ends them, and who waits is told."""
    client = cluster.client(2)
    event = "the client is closed"
    processes = both_ways(client)
    pids = _pids(processes)
    lose(processes, client.close, _stated(event))
    for pid in pids:
        vanishes(pid, _stated(event, "its child ends"))


def test_a_host_that_is_closed(cluster, caller, lose):
    """A host that made its client itself closes it; the child is lost, and another one can come."""
    host = DaskHost(cluster.address)
    with caller(host=host) as process:
        lose([process], host.close, _stated("the client is closed"))
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


def test_no_scheduler(stopwatch):
    """An address where there is no scheduler: told when the time is up."""
    host = DaskHost("tcp://127.0.0.1:9", timeout=1.5)
    assert _stated("there is no scheduler") == DaskHost("tcp://127.0.0.1:9").timeout
    watch = stopwatch()
    with BgProcess(host=host) as process, pytest.raises(HostLost, match="cannot be reached"):
        srun(process.send, "x", SOON)
    watch.check(1.5)
