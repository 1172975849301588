"""The demo on a cluster: `scripts/demo --scheduler ADDRESS` and `scripts/demo --cluster`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

DEMO = Path(__file__).parents[2] / "examples" / "stdlib_catalogue.py"


@pytest.fixture(autouse=True)
def what_it_needs(not_counted):
    """Do without these tests where the demo cannot run."""
    for name in ("distributed", "h5py", "matplotlib", "tqdm"):
        pytest.importorskip(name)


def _run(*arguments):
    """Run the demo on some files; give what it prints."""
    command = [sys.executable, "-W", "ignore", str(DEMO), "--children", "2", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cluster_that_is_there(cluster, client, tmp_path):
    """`--scheduler`: the children are on its workers, who have nothing of ours; all is the same."""

    def children(dask_scheduler):
        keys = {transition[0] for transition in dask_scheduler.transition_log}
        return {key for key in keys if str(key).startswith("mt-aio-child-")}

    before = client.run_on_scheduler(children)
    printed = _run("--limit", 3, "--out", tmp_path, "--scheduler", cluster.address)
    assert "identical in both modes and on the cluster" in printed
    assert len(client.run_on_scheduler(children) - before) == 2
    assert (tmp_path / "cluster" / "lines.h5").is_file()


def test_a_cluster_of_its_own(tmp_path):
    """`--cluster`: it is started and stopped, and what it made is the same."""
    printed = _run("--limit", 4, "--out", tmp_path, "--cluster")
    assert "identical in both modes and on the cluster" in printed
    assert (tmp_path / "cluster" / "lines.h5").is_file()


_HELD = f"""
import sys, time
sys.path.insert(0, {str(DEMO.parent)!r})
import stdlib_catalogue as demo

def main():
    with demo.dask_host(None):
        print("up", flush=True)
        time.sleep(60)

demo.main = main
sys.exit(demo.run())
"""


def test_ctrl_c(vanishes):
    """A Ctrl-C, which reaches all of its processes, ends them all, without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _HELD],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as popen:
        assert popen.stdout.readline() == "up\n", popen.stderr.read()
        processes = [process.pid for process in psutil.Process(popen.pid).children(True)]
        os.killpg(popen.pid, signal.SIGINT)
        _, errors = popen.communicate(timeout=100)
    assert popen.returncode == 130
    assert errors == "\ninterrupted\n"
    for pid in processes:
        vanishes(pid)
