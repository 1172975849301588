"""Which file system a path is on."""

from __future__ import annotations

import os
import re

# Those that one running system alone can write to. Not FUSE, whose other end may be anywhere.
_LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}


def is_local(filepath: str) -> bool:
    """Say whether a path is known to be on a file system of this machine's own disks or memory."""
    folder = os.path.realpath(os.path.dirname(filepath))
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError:
        return False
    best, kind = "", ""
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), mount.split()[4])
        # Of several mounts on one point the last one counts.
        is_above = folder == point or folder.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind in _LOCAL
