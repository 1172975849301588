"""A pulled plug: file systems that stop at once and forget what they have not written.

The file system lies in a file, mounted by a loop device. Where the plug is pulled, it is told to
shut down without writing its log; mounted again, it recovers what had reached the disk. Before
that another file is flushed, which writes the log: so a rename is on the disk, while content that
nobody flushed is not. ext4 is mounted with noauto_da_alloc, or it would hide a missing flush.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.slow

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
NO_LOG_FLUSH = 2

SYSTEMS = {"ext4": ("24M", ["-o", "loop,noauto_da_alloc"]), "xfs": ("300M", ["-o", "loop"])}


class Disk:
    """A disk whose plug can be pulled."""

    def __init__(self, kind, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        self.image = str(folder / "image")
        size, options = SYSTEMS[kind]
        self.mounting = ["mount", *options, self.image, str(self.folder)]
        self.mounted = False
        with open(self.image, "wb") as file:
            os.truncate(file.fileno(), int(size[:-1]) * 2**20)
        subprocess.run([f"mkfs.{kind}", "-q", self.image], check=True, capture_output=True)

    def mount(self):
        """Mount it, after a recovery if the plug was pulled."""
        done = subprocess.run(self.mounting, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting a file needs root and loop devices: {done.stderr.strip()}")
        self.mounted = True

    def umount(self):
        """Unmount it."""
        if self.mounted:
            self.mounted = False
            subprocess.run(["umount", str(self.folder)], check=True)

    def write_log(self):
        """Flush some other file, and with it the log."""
        with open(self.folder / "other", "ab") as file:
            file.write(b"x" * 5000)
            os.fsync(file.fileno())

    def pull_plug(self):
        """Stop it at once; then plug it in again."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(fd)
        self.umount()
        self.mount()


@pytest.fixture(params=list(SYSTEMS))
def disk(request, tmp_path):
    """An empty disk."""
    if shutil.which(f"mkfs.{request.param}") is None:
        pytest.skip(f"needs mkfs.{request.param}")
    disk = Disk(request.param, tmp_path)
    disk.mount()
    yield disk
    disk.umount()


def places(disk, jobs, new_place):
    """Make a target for each job, which has the old content on the disk."""
    (disk.folder / "all").mkdir()
    made = []
    for number, name in enumerate(jobs.JOBS):
        place = new_place(disk.folder / "all" / f"{number}", name)
        if place.before is not None:
            jobs.write(name, place.path, place.before)
        made.append(place)
    os.sync()
    return made


def tidy(place):
    """See that nothing is left but what sweep would remove after a boot, and remove it.

    What was renamed or unlinked may be there again, under its old name.
    """
    for name in place.left():
        assert name.endswith((".mttmp", ".mtlock")), name
        (place.folder / name).unlink()


@pytest.mark.parametrize("log", ["log written", "log lost"])
@pytest.mark.parametrize("durability", ["atomic", "full"])
def test_whole_after_a_power_cut(disk, jobs, new_place, mode_name, durability, log):
    """The old or the new content is there, whole; with "full" the new one."""
    made = places(disk, jobs, new_place)
    for place in made:
        jobs.write(place.job, place.path, "new", mode=mode_name, durability=durability)
    if log == "log written":
        disk.write_log()
    disk.pull_plug()
    for place in made:
        word = place.word()
        assert word in ({"new"} if durability == "full" else {place.before, "new"}), place.job
        tidy(place)


@pytest.mark.parametrize("kind", ["write_binary", "json_save"])
def test_without_a_flush_it_is_lost(disk, jobs, new_place, kind):
    """With durability "none" the plug does harm, so the disk is one that would show it."""
    place = new_place(disk.folder / "place", kind)
    jobs.write(kind, place.path, "old")
    os.sync()
    jobs.write(kind, place.path, "new", durability="none")
    disk.write_log()
    disk.pull_plug()
    with open(place.path, "rb") as file:
        assert not file.read().strip(b"\0"), "empty, or zeros"


def test_killed_then_cut(disk, jobs, new_place, server):
    """The plug is pulled while writers are at work, which never get to their end."""
    made = places(disk, jobs, new_place)
    for place in made:
        if place.before is None:
            continue
        place.reset("abc")
        os.sync()
        pid = server.prepare(**place.order(mode="sync", again=True, durability="atomic"))
        server.go()
        disk.write_log()
        fd = os.open(disk.folder, os.O_RDONLY)
        fcntl.ioctl(fd, SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, "little"))
        os.close(fd)
        assert server.end() != 0, f"{pid} met an error"
        disk.umount()
        disk.mount()
        assert place.word() in {"abc", "xyz"}, place.job
        tidy(place)
