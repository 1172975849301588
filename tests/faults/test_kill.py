"""Writers that are killed: whatever the moment, the target is whole, the old or the new one."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from mt.aio.core import srun
from mt.aio.fs import remove, sweep

pytestmark = pytest.mark.slow


def look(place, jobs):
    """See that the target is whole, that what is left can be swept, and writing goes on."""
    word = place.word()
    assert word in {place.before, "new"}
    # A lock file without a holder is as good as none, and goes with the next update.
    assert set(place.sweep()) <= {".file.mtlock"}
    if word != "new" or place.before is not None:
        jobs.write(place.job, place.path, "new")
        assert (place.word(), place.left()) == ("new", [])
    return word


def test_at_every_system_call(server, trace_log, place, jobs, job, mode_name):
    """Killed at any system call of a write: the whole old or the whole new content, always.

    In sync mode really at every call. In async mode at every call that concerns the target's
    folder; what the loop and the threads do in between leaves no trace there.
    """
    order = place.order(mode=mode_name)
    place.reset(place.before)
    assert server.traced(trace_log, **order) == 0
    calls = server.calls(trace_log)
    if mode_name == "async":
        calls = [call for call in calls if place.concerns(call)]
    points = sorted({(call.name, call.count) for call in calls})
    assert len(points) > 4
    seen = set()
    for name, count in points:
        place.reset(place.before)
        kill = f"inject={name}:signal=KILL:when={count}"
        ended = server.traced(trace_log, "-e", f"trace={name}", "-e", kill, **order)
        if ended == 0 and job == "CreateFileH5":  # whose last writes are not always as many
            assert place.word() == "new"
            continue
        assert ended == -signal.SIGKILL, (name, count)
        seen.add(look(place, jobs))
    assert seen == {place.before, "new"}, "killed before and after the publishing"


def test_copy_of_a_folder(server, trace_log, tmp_path):
    """A folder's copy, killed at any system call that concerns it, is there whole or not at all."""
    (tmp_path / "new" / "sub").mkdir(parents=True)
    for name in ("file", "sub/file"):
        (tmp_path / "new" / name).write_bytes(bytes(100_000))
    (tmp_path / "new" / "sub" / "link").symlink_to("file")
    (tmp_path / "new" / "sub").chmod(0o500)
    place = tmp_path / "place"
    place.mkdir()
    copied = place / "copy"
    order = {"job": "copy of a folder", "path": str(copied), "mode": "sync", "durability": "full"}

    def content(folder):
        return {
            (
                str(path.relative_to(folder)),
                path.lstat().st_mode,
                path.is_dir() or path.read_bytes(),
            )
            for path in folder.rglob("*")
        }

    assert server.traced(trace_log, **order) == 0
    points = {(c.name, c.count) for c in server.calls(trace_log) if str(place) in c.text}
    seen = []
    for name, count in sorted(points):
        srun(remove, copied, tree=True, missing_ok=True)
        kill = f"inject={name}:signal=KILL:when={count}"
        assert (
            server.traced(trace_log, "-e", f"trace={name}", "-e", kill, **order) == -signal.SIGKILL
        )
        srun(sweep, place)
        seen.append(os.listdir(place))
        assert seen[-1] == [] or content(copied) == content(tmp_path / "new"), (name, count)
    assert seen.count(["copy"]) > 1
    assert seen.count([]) > len(seen) // 2


@pytest.mark.parametrize("kills", [23])
def test_at_random_moments(server, place, jobs, kills):
    """Killed at 23 random moments for each of 9 writers, over 200 in all: always whole."""
    if place.before is None:
        pytest.skip("an exclusive writer writes only once")
    chance = random.Random(place.job)
    place.reset("abc")
    for i in range(kills):
        mode = ("sync", "async")[i % 2]
        pid = server.prepare(**place.order(mode=mode, again=True, durability="none"))
        server.go()
        time.sleep(chance.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        assert server.end() == -signal.SIGKILL
        assert place.word() in {"abc", "xyz"}
    assert set(place.sweep()) <= {".file.mtlock"}
    jobs.write(place.job, place.path, "new")
    assert (place.word(), place.left()) == ("new", [])
