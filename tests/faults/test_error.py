"""System calls that fail: the error is raised, the old content stays, nothing is left."""

from __future__ import annotations

import errno

import pytest

pytestmark = pytest.mark.slow

# Those that must not fail unnoticed; others, such as copy_file_range, there is another way for.
CRUCIAL = {"openat", "write", "pwrite64", "fchmod", "fsync", "rename", "linkat", "symlink"}

# HDF5 opens a file more than once, and can do without the first time.
PATIENT = {("openat", "CreateFileH5")}

# In its lock file json_update notes who has it, for the errors of others; it goes on without.
NOTE = ("pwrite64", ".file.mtlock>")

# HDF5 does not tell the number of these.
UNTOLD = {("lstat", "CreateFileH5"), ("newfstatat", "CreateFileH5")}

PUBLISHING = {"rename", "linkat"}


def find(server, trace_log, place, order):
    """List a write's system calls on the folder; whether each is past the publishing, or a note."""
    place.reset(place.before)
    assert server.traced(trace_log, **order) == 0
    points = {}
    published = False
    for call in server.calls(trace_log):
        if place.concerns(call):
            noted = call.name == NOTE[0] and NOTE[1] in call.text
            points.setdefault((call.name, call.count), (published, noted))
            published = published or (call.name in PUBLISHING and '/file"' in call.text)
    assert published
    return points


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_every_system_call_fails(server, trace_log, place, job, mode_name, error):
    """Each call that concerns the target's folder fails, one a run."""
    order = place.order(mode=mode_name)
    number = getattr(errno, error)
    points = find(server, trace_log, place, order)
    for (name, count), (published, noted) in points.items():
        place.reset(place.before)
        inject = f"inject={name}:error={error}:when={count}"
        ended = server.traced(trace_log, "-e", f"trace={name}", "-e", inject, **order)
        where = (name, count, ended)
        if published:  # flushing the folder, or tidying up: too late to undo anything
            assert ended in {0, number}, where
            assert place.word() == "new", where
            assert name != "fsync" or ended == number, where
            assert name == "unlink" or place.left() == [], where
            place.sweep()
            continue
        assert ended in {0, number, *([errno.EIO] if (name, job) in UNTOLD else [])}, where
        assert ended == 0 or not noted, where
        assert name not in CRUCIAL or ended != 0 or (name, job) in PATIENT or noted, where
        assert place.word() == ("new" if ended == 0 else place.before), where
        # A lock file stays if it cannot be told whether it is ours: the next update removes it.
        unsure = job == "json_update" and name in {"flock", "newfstatat", "fstat"}
        assert set(place.left()) <= ({".file.mtlock"} if unsure else set()), where
