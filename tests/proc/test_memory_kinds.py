"""Large buffers where there is no memfd: POSIX shared memory, or the socket; nothing is left."""

from __future__ import annotations

import errno
import gc
import glob
import os
import sys

import pytest

from mt.aio.core import srun
from mt.aio.proc import _memory
from mt.aio.proc.lowlevel import ChildDiedError

np = pytest.importorskip("numpy")
LIMIT = 20
pytestmark = pytest.mark.slow
POSIX = "import os\nvars(os).pop('memfd_create', None)\n"
REFUSE = """
def refuse(*args):
    raise OSError({0}, os.strerror({0}))
"""
KINDS = {
    "memfd": "",
    "posix": POSIX,
    "posix, only mapped": f"{POSIX}{REFUSE.format(errno.ESPIPE)}\nos.pwrite = refuse\n",
}


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    """Have this process use one kind of memory; give what has a child do the same."""
    _here(monkeypatch, KINDS[request.param])
    return KINDS[request.param]


def _here(monkeypatch, code):
    """Run what changes `os`, until the end of the test."""
    for name in {"memfd_create", "pwrite"} & set(dir(os)):
        monkeypatch.setattr(os, name, getattr(os, name))
    exec(code, {})


def _names():
    return glob.glob("/dev/shm/mt-aio-*")


def _echo(mode, process):
    """Send arrays there and back, of which the child makes others; they may be written to."""
    for size in (100_000, 3_000_000) * 3:
        array = np.arange(size, dtype="u1")
        reply = mode.run(process.send, (lambda a: (a + 1, a), array), recv_timeout=LIMIT)
        assert (reply[0] == array + 1).all()
        assert (reply[1] == array).all()
        reply[1][0] = 7


def test_both_ways(mode, start, kind, until):
    """Regions are made in both processes, used again, and have no name."""
    process = start()
    srun(process.send, (exec, kind, {}))
    _echo(mode, process)
    own = process._link._outbox.memory._own
    assert 1 <= len(own) <= 2
    for region in own.values():
        assert os.fstat(region._descriptor).st_nlink == 0
        assert not os.get_inheritable(region._descriptor)
    until(lambda: not _names())  # another test may just be making one
    imported = srun(process.send, (lambda: "multiprocessing.shared_memory" in sys.modules,))
    assert not imported


def test_as_it_was_filled_first(kind):
    """A region that is written to again has what is new, and what was beyond stays readable."""
    memory = _memory.Memory(None)
    region = memory._make(3 * _memory.PIECE)
    first = os.urandom(2 * _memory.PIECE + 5)
    region.fill([first])
    region.fill([b"x" * 7])
    region.fill([b"y" * 70_000, first])
    places = _memory.offsets([b"y" * 70_000, first])
    with _memory.mmap.mmap(region._descriptor, region.size) as mapping:
        assert mapping[:70_000] == b"y" * 70_000
        assert mapping[places[1] : places[1] + len(first)] == first
    region.close()


KILLED = """
def kill(*args):
    os.kill(os.getpid(), 9)
_memory = __import__("mt.aio.proc._memory", fromlist=["_"])
_memory.Region.give = kill
"""


@pytest.mark.parametrize("end", ["closed", "killed in the middle"])
def test_nothing_is_leaked(start, caller, kind, end, until):
    """Descriptors, mappings and names go with the process, whatever its end is."""

    def held():
        gc.collect()
        with open("/proc/self/maps") as maps:
            return len(os.listdir("/proc/self/fd")), maps.read().count("mt-aio")

    start().close()
    before = held()
    process = caller()
    srun(process.send, (exec, kind, {}))
    for _ in range(3):
        srun(process.send, (lambda a: a, np.ones(1_000_000)))
    if end == "killed in the middle":
        srun(process.send, (exec, f"import os\n{KILLED}", {}))
        with pytest.raises(ChildDiedError, match="SIGKILL"):
            srun(process.send, (lambda: __import__("numpy").ones(9_000_000),))
    process.close()
    del process
    assert held() == before
    until(lambda: not _names())


def _refusing(name):
    return f"import os\n{REFUSE.format(errno.ENOSPC)}\nos.{name} = refuse\n"


@pytest.mark.parametrize(
    "code",
    [
        _refusing("memfd_create"),
        _refusing("pwrite"),
        f"{POSIX}{_refusing('pwrite')}",
        f"{POSIX}import sys\nsys.modules['_posixshmem'] = None\n",
    ],
    ids=["no memory", "no room", "no room, posix", "no module"],
)
def test_the_socket_has_to_do(start, monkeypatch, code):
    """Memory that cannot be made, or cannot be filled: no message is lost by that."""
    monkeypatch.setitem(sys.modules, "_posixshmem", pytest.importorskip("_posixshmem"))
    process = start()
    srun(process.send, (exec, code, {}))
    _here(monkeypatch, code)
    array = np.arange(400_000)
    reply = srun(process.send, (lambda a: a + 1, array), recv_timeout=LIMIT)
    assert (reply == array + 1).all()


def test_a_name_that_cannot_be_removed(monkeypatch):
    """No descriptor is left, and the socket has to do."""
    posix = pytest.importorskip("_posixshmem")
    monkeypatch.delattr(os, "memfd_create", raising=False)
    unlink = posix.shm_unlink

    def refuse(name):
        unlink(name)
        raise OSError(errno.EACCES, "refused")

    monkeypatch.setattr(posix, "shm_unlink", refuse)
    memory = _memory.Memory(None)
    assert memory.take([bytes(1 << 20)]) is None
    assert not memory._able
