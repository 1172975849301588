"""Which file system a path is on."""

from __future__ import annotations

import io
import os
import sys

import pytest

from mt.aio.fs import _mount

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's list of mounts")

# As Linux writes it: the fifth word is where, the one after the dash is what.
MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:40 / /data rw,relatime - nfs4 server:/data rw
24 22 8:2 / /data/disk rw,relatime - xfs /dev/sdb1 rw
25 22 8:3 / /with\040space rw,relatime - nfs4 server:/x rw
26 22 0:41 / /twice rw,relatime - ext4 /dev/sdc1 rw
27 26 0:42 / /twice rw,relatime - cifs //server/x rw
28 22 0:43 / /mem rw - tmpfs tmpfs rw
""".lstrip()


@pytest.fixture
def mounts(monkeypatch):
    """Put the list above in the place of the system's."""

    def open_list(path, **_):
        assert path == "/proc/self/mountinfo"
        return io.StringIO(MOUNTS)

    monkeypatch.setattr(_mount, "open", open_list, raising=False)


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/file", True),
        ("/database/file", True),  # not below /data
        ("/data/file", False),
        ("/data/sub/file", False),
        ("/data/disk/file", True),
        ("/with space/file", False),
        ("/with/file", True),
        ("/twice/file", False),  # the later mount hides the earlier one
        ("/mem/file", True),
    ],
)
def test_the_innermost_last_mount_counts(mounts, path, local):
    """A path is local if the file system that it is really on is known to be."""
    assert _mount.is_local(path) is local


def test_links_are_followed(mounts, monkeypatch):
    """What counts is where a folder lies, not by which name it is reached."""
    monkeypatch.setattr(os.path, "realpath", {"/home": "/data/home"}.get)
    assert not _mount.is_local("/home/file")


def test_without_a_list_nothing_is_local(monkeypatch):
    """Where the system does not tell, no path is taken for local."""

    def refuse(*_, **__):
        raise PermissionError(13, "hidden")

    monkeypatch.setattr(_mount, "open", refuse, raising=False)
    assert not _mount.is_local("/file")


def test_the_list_of_this_system():
    """The system's own list is understood: what is in /proc lies on no disk."""
    assert not _mount.is_local("/proc/self/status")
