"""What is flushed before and after a target is published, as the system saw it."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.slow

PUBLISHING = {"rename", "linkat"}
FLUSHES = {"fsync", "fdatasync"}
WRITES = {"write", "pwrite64", "copy_file_range", "fchmod", "ftruncate"}


def is_flush_of_folder(call, folder):
    """Whether a call flushes a folder itself."""
    return call.name in FLUSHES and f"<{folder}>" in call.text


def is_flush_of_file(call):
    """Whether a call flushes a temporary file."""
    return call.name in FLUSHES and ".mttmp>" in call.text


@pytest.mark.parametrize("existing", [True, False], ids=["existing", "new"])
@pytest.mark.parametrize("durability", ["none", "atomic", "full"])
def test_order(server, trace_log, place, mode_name, durability, existing):
    """The file is flushed after the last change and before it is published, the folder after."""
    if existing and place.before is None:
        pytest.skip("an exclusive writer wants no target")
    place.reset("old" if existing else None)
    order = place.order(mode=mode_name) | {"durability": durability}
    assert server.traced(trace_log, **order) == 0
    assert place.word() == "new"
    calls = [call for call in server.calls(trace_log) if place.concerns(call)]
    is_link = place.job == "symlink"
    if is_link and not any(call.name == "rename" for call in calls):
        published = [i for i, call in enumerate(calls) if call.name == "symlink"]
    else:
        published = [i for i, c in enumerate(calls) if c.name in PUBLISHING and '/file"' in c.text]
    assert len(published) == 1
    at = published[0]
    before, after = calls[:at], calls[at + 1 :]
    flushes = [i for i, call in enumerate(before) if is_flush_of_file(call)]
    changes = [i for i, c in enumerate(before) if c.name in WRITES and ".mttmp>" in c.text]
    if durability == "none" or is_link:
        assert flushes == []
    else:
        assert len(flushes) == 1
        assert flushes[0] > max(changes)
    assert not any(is_flush_of_file(call) for call in after)
    folder_flushes = [call for call in calls if is_flush_of_folder(call, place.folder)]
    assert len(folder_flushes) == (durability == "full")
    assert all(call in after for call in folder_flushes)


@pytest.mark.parametrize("durability", ["atomic", "full"])
def test_many_at_once(server, trace_log, tmp_path, mode_name, durability):
    """Of 20 writes at once each file is flushed before it is published, the folder at the end."""
    folder = tmp_path / "folder"
    folder.mkdir()
    order = {"job": "many", "path": str(folder / "file"), "mode": mode_name}
    assert server.traced(trace_log, **order, durability=durability) == 0
    assert len(os.listdir(folder)) == 20
    flushed = set()
    calls = [call for call in server.calls(trace_log) if str(folder) in call.text]
    last = 0
    for i, call in enumerate(calls):
        name = call.text.partition(".mttmp")[0].rpartition("/")[2]
        if is_flush_of_file(call):
            flushed.add(name)
        elif call.name == "syncfs":
            flushed = {c.text.partition(".mttmp")[0].rpartition("/")[2] for c in calls[:i]}
        elif call.name == "rename":
            assert name in flushed
            last = i
    flushes = [call for call in calls if is_flush_of_folder(call, folder)]
    assert any(call in flushes for call in calls[last:]) == (durability == "full")
    if mode_name == "async":
        assert len(flushes) < 20  # one is for all whose rename it came after
