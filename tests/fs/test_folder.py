"""Group commit: one flush of a folder for all who have changed something in it by then."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings

import pytest

from mt.aio.fs import _durability, _folder
from mt.aio.fs._folder import FolderFlush, flush_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no flushing of folders")


class Disk:
    """Stands for the system's flush of a folder, which takes as long as a test wants it to."""

    def __init__(self):
        self.flushes = []
        self.errors = {}
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)

    def fsync(self, fd):
        """Flush, in the place of os.fsync."""
        number = len(self.flushes)
        self.flushes.append(os.readlink(f"/proc/self/fd/{fd}"))
        self.begun.release()
        assert self.gate.wait(30)
        if number in self.errors:
            raise self.errors[number]


@pytest.fixture
def disk(monkeypatch):
    """Give a disk that is slow, and find no group left in the end."""
    disk = Disk()
    monkeypatch.setattr(_durability, "_flush_now", disk.fsync)
    yield disk
    assert _folder._groups == {}


def change(folder, outcomes):
    """Change something and have it flushed; note how that ended."""
    try:
        flush_folder(str(folder))
        outcomes.append("flushed")
    except OSError as exc:
        outcomes.append(exc)


def start(count, folder, outcomes):
    """Start threads that each change something, and are known to wait for a flush."""
    threads = [threading.Thread(target=change, args=(folder, outcomes)) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def wait_until(condition):
    """Wait for a state of another thread; the test's time-out is the limit."""
    while not condition():
        time.sleep(0)


def group():
    """Give the only group there is."""
    [only] = _folder._groups.values()
    return only


@pytest.fixture
def late(disk, tmp_path):
    """Have a flush under way, and seven threads that came too late for it."""
    outcomes = []
    threads = start(1, tmp_path, outcomes)
    disk.begun.acquire()
    threads += start(7, tmp_path, outcomes)
    wait_until(lambda: len(group().waiting) == 7)

    def end():
        disk.gate.set()
        for thread in threads:
            thread.join()
        return outcomes

    return end


def test_who_comes_during_a_flush_shares_the_next(disk, late, tmp_path):
    """Seven changes made during a flush are not served by it, but all by the next."""
    assert late() == ["flushed"] * 8
    assert disk.flushes == [str(tmp_path)] * 2


def test_an_error_reaches_all_whom_the_flush_was_for(disk, late):
    """Each gets an error of its own; those of the flush before do not."""
    disk.errors[1] = OSError(5, "flush failed")
    outcomes = late()
    assert outcomes.count("flushed") == 1
    errors = [outcome for outcome in outcomes if outcome != "flushed"]
    assert {str(error) for error in errors} == {"[Errno 5] flush failed"}
    assert len({id(error) for error in errors}) == 7
    assert len(disk.flushes) == 2


def test_folders_do_not_wait_for_each_other(disk, late, tmp_path):
    """While one folder's flush hangs, another folder is flushed."""
    other = tmp_path / "other"
    other.mkdir()
    outcomes = []
    [thread] = start(1, other, outcomes)
    disk.begun.acquire()
    assert disk.flushes == [str(tmp_path), str(other)]
    late()
    thread.join()
    assert outcomes == ["flushed"]


def test_a_flush_after_the_change_serves_also_who_asks_late(disk, tmp_path):
    """Who asks when a flush has ended that began after the change needs no other."""
    disk.gate.set()
    with FolderFlush(str(tmp_path)) as early, FolderFlush(str(tmp_path)) as second:
        early.done()
        second.done()
        second.flush()
        early.flush()
        assert len(disk.flushes) == 1
        early.done()  # another change
        early.flush()
        assert len(disk.flushes) == 2
        early.flush()  # a further one, that nobody noted
        assert len(disk.flushes) == 3


def test_its_error_is_not_lost_either(disk, tmp_path):
    """Who asks after a flush that failed is told so, even if a later one has succeeded."""
    disk.gate.set()
    disk.errors[0] = OSError(5, "flush failed")
    with FolderFlush(str(tmp_path)) as early, FolderFlush(str(tmp_path)) as second:
        early.done()
        with pytest.raises(OSError, match="flush failed"):
            second.flush()
        second.done()
        second.flush()
        with pytest.raises(OSError, match="flush failed"):
            early.flush()
    assert len(disk.flushes) == 2


def test_an_error_reaches_also_who_changed_something_meanwhile(disk, tmp_path):
    """Who was at the folder when a flush failed is told, though his change came after it began.

    The system might have lost his change as well, and would tell nobody a second time. Who comes
    after that gets a flush.
    """
    disk.errors[0] = OSError(5, "flush failed")
    with FolderFlush(str(tmp_path)) as present:
        outcomes = []
        threads = start(1, tmp_path, outcomes)
        disk.begun.acquire()
        present.done()
        disk.gate.set()
        threads[0].join()
        assert outcomes != ["flushed"]
        flush_folder(str(tmp_path))
        assert len(disk.flushes) == 2
        with pytest.raises(OSError, match="flush failed"):
            present.flush()
        present.done()
        present.flush()
        assert len(disk.flushes) == 3


@pytest.fixture
def interrupt():
    """Give a function that interrupts the main thread once, as Ctrl-C does."""
    interrupted = threading.Event()

    def handle(_number, _frame):
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    def send():
        while not interrupted.is_set():  # one that comes just before a wait does not end it
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            time.sleep(0.001)

    old = signal.signal(signal.SIGUSR1, handle)
    yield send
    signal.signal(signal.SIGUSR1, old)


def test_who_is_interrupted_while_flushing_leaves_it_to_another(disk, tmp_path, interrupt):
    """Ctrl-C ends the main thread's flush; those who wait are served all the same."""
    outcomes, threads = [], []

    def helper():
        disk.begun.acquire()
        threads.extend(start(3, tmp_path, outcomes))
        wait_until(lambda: len(group().waiting) == 3)
        interrupt()

    helping = threading.Thread(target=helper)
    helping.start()
    with pytest.raises(KeyboardInterrupt):
        flush_folder(str(tmp_path))
    disk.gate.set()
    for thread in (helping, *threads):
        thread.join()
    assert outcomes == ["flushed"] * 3
    assert len(disk.flushes) == 2


def test_who_is_interrupted_while_waiting_just_goes(disk, tmp_path, interrupt):
    """Ctrl-C ends the main thread's wait; no flush is done for it."""
    outcomes = []
    threads = start(1, tmp_path, outcomes)
    wait_until(lambda: disk.flushes)

    def helper():
        wait_until(lambda: group().waiting)
        interrupt()

    threads.append(threading.Thread(target=helper))
    threads[-1].start()
    with pytest.raises(KeyboardInterrupt):
        flush_folder(str(tmp_path))
    disk.gate.set()
    for thread in threads:
        thread.join()
    assert outcomes == ["flushed"]
    assert len(disk.flushes) == 1


def test_a_child_forked_during_a_flush_flushes_itself(disk, late, tmp_path):
    """A child does not wait for threads that it does not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        signal.alarm(10)
        try:
            disk.gate = threading.Event()
            disk.gate.set()
            flush_folder(str(tmp_path))
        finally:
            os._exit(len(disk.flushes))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    late()
