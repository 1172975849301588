"""System calls that fail: the error is raised, the old content stays, nothing is left."""

from __future__ import annotations

import errno
import signal

import pytest

pytestmark = pytest.mark.slow

# Those that must not fail unnoticed; others, such as copy_file_range, there is another way for.
CRUCIAL = {"openat", "write", "fchmod", "fsync", "rename", "linkat", "symlink"}

# HDF5 opens a file more than once, and can do without the first time.
PATIENT = {("openat", "CreateFileH5")}

# h5py does not hand on the number of every error.
NO_NUMBER = 254
OTHER_ERROR = 255
UNTOLD = NO_NUMBER, OTHER_ERROR, errno.EINVAL, errno.EIO  # of HDF5, which may not tell the number

PUBLISHING = {"rename", "linkat"}


def find(server, trace_log, place, order):
    """List a write's system calls on the folder, and which of them come after the publishing."""
    place.reset(place.before)
    assert server.traced(trace_log, **order) == 0
    points = {}
    published = False
    for call in server.calls(trace_log):
        if place.concerns(call):
            points.setdefault((call.name, call.count), published)
            published = published or (call.name in PUBLISHING and '/file"' in call.text)
    assert published
    return points


def look_after_hdf5(place, ended, number, where):
    """See what a failing write of HDF5's own leaves: h5py raises RuntimeError, or HDF5 crashes.

    HDF5 2.0 is ended by a segmentation fault if the flush comes after a dataset's data could not
    be written; that is as good, or bad, as being killed.
    """
    # Its last writes are not always as many: a run may have none left to fail.
    assert ended in {0, number, *UNTOLD, -signal.SIGSEGV}, where
    assert place.word() == ("new" if ended == 0 else place.before), where
    assert ended == -signal.SIGSEGV or place.left() == [], where
    assert place.sweep() == [], where


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_every_system_call_fails(server, trace_log, place, job, mode_name, error):  # noqa: PLR0917
    """Each call that concerns the target's folder fails, one a run."""
    order = place.order(mode=mode_name)
    number = getattr(errno, error)
    for (name, count), published in find(server, trace_log, place, order).items():
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
        if (job, name) == ("CreateFileH5", "pwrite64"):
            look_after_hdf5(place, ended, number, where)
            continue
        assert ended in {0, number, *(UNTOLD if job == "CreateFileH5" else [NO_NUMBER])}, where
        assert name not in CRUCIAL or ended != 0 or (name, job) in PATIENT, where
        assert place.word() == ("new" if ended == 0 else place.before), where
        # A lock file stays if it cannot be told whether it is ours: the next update removes it.
        unsure = job == "json_update" and name in {"flock", "newfstatat", "fstat"}
        assert set(place.left()) <= ({".file.mtlock"} if unsure else set()), where
