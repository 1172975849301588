"""Every state that a disk goes through while each writer writes: each is one after a power cut.

ext4 lies on a disk that remembers each write to it, see blocklog.py. The disk is made what it was
after the first write, the second, and so on; each time it is mounted, and looked at.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        not os.access("/dev/fuse", os.R_OK | os.W_OK) or os.geteuid() != 0,
        reason="needs root and /dev/fuse",
    ),
    pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="needs mkfs.ext4"),
]

SERVER = Path(__file__).parent / "blocklog.py"
RECORD = struct.Struct("=QQ")
FLUSHED = 2**64 - 1


def run(*command):
    """Run a command that must succeed."""
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class LoggedDisk:
    """A mounted disk, and all that was written to it."""

    def __init__(self, folder):
        self.folder = folder / "mounted"
        self.fuse = folder / "fuse"
        self.image, self.log, self.base = folder / "image", folder / "log", folder / "base"
        for path in (self.folder, self.fuse):
            path.mkdir()
        with open(self.image, "wb") as file:
            os.truncate(file.fileno(), 24 * 2**20)
        run("mkfs.ext4", "-q", self.image)
        shutil.copyfile(self.image, self.base)
        command = [sys.executable, SERVER, self.fuse, self.image, self.log]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if self.server.stdout.readline() != "ready\n":
            self.server.communicate()
            pytest.skip("FUSE cannot be mounted here")
        run("mount", "-o", "loop,noauto_da_alloc", self.fuse / "disk", self.folder)

    def now(self):
        """Say how much has been written to the log."""
        return os.path.getsize(self.log)

    def close(self):
        """Unmount all, and end the server."""
        run("umount", self.folder)
        run("umount", self.fuse)
        self.server.communicate()

    def states(self, begin):
        """Give the disk as it was after each write from a place in the log on, with that place."""
        state, copy = self.base, self.base.with_name("copy")
        log = self.log.read_bytes()
        at = 0
        with open(state, "r+b") as disk:
            while at < len(log):
                offset, size = RECORD.unpack_from(log, at)
                at += RECORD.size
                if offset != FLUSHED:
                    disk.seek(offset)
                    disk.write(log[at : at + size])
                    disk.flush()
                    at += size
                    if at > begin:
                        shutil.copyfile(state, copy)
                        yield at, copy


@pytest.fixture
def disk(tmp_path):
    """A disk with a log."""
    disk = LoggedDisk(tmp_path)
    yield disk
    if os.path.ismount(disk.folder):
        disk.close()


def test_every_prefix(disk, jobs, new_place):
    """After any write to the disk the old or the new content is there, whole.

    With "full" it is the new one, from the end of the call on; "atomic" and "full" take turns.
    """
    places = []
    for number, name in enumerate(jobs.JOBS):
        place = new_place(disk.folder / f"place-{number}", name)
        if place.before is not None:
            jobs.write(name, place.path, place.before)
        places.append(place)
    os.sync()
    begin = disk.now()
    ended = []
    for number, place in enumerate(places):
        mode, durability = ("sync", "async")[number // 2 % 2], ("full", "atomic")[number % 2]
        jobs.write(place.job, place.path, "new", mode=mode, durability=durability)
        ended.append(disk.now() if durability == "full" else float("inf"))
    os.sync()
    disk.close()
    seen = {place.job: set() for place in places}
    for at, image in disk.states(begin):
        run("mount", "-o", "loop,noauto_da_alloc", image, disk.folder)
        try:
            for place, end in zip(places, ended, strict=True):
                word = place.word()
                wanted = {"new"} if at >= end else {place.before, "new"}
                assert word in wanted, (place.job, at)
                seen[place.job].add(word)
        finally:
            run("umount", disk.folder)
    assert all(seen[place.job] == {place.before, "new"} for place in places), seen
