"""The names of temporary files, which say who writes them.

A name is `.TARGET.PID-START-SPACE-BOOT-MACHINE-RANDOM.mttmp`. Together with the random part, which
cannot be guessed, it holds what it takes to tell later whether the writer is gone:

- PID alone would not do: ids are used again. START is when that process was started.
- A PID means something only in the process namespace SPACE (a container has its own) of the system
  booted as BOOT on MACHINE. Elsewhere the same number is somebody else, or nobody.

All of it is read once per process, and again in a forked child. Where the system does not tell
(there is no /proc), zeros stand for it, and such a writer is never taken for gone by others.
"""

from __future__ import annotations

import os
import re
import sys
from binascii import crc32
from typing import NamedTuple

TEMPORARY_SUFFIX = ".mttmp"

# How much of the target's name a temporary name repeats, in bytes. Arbitrary: enough for a reader
# of a folder listing, and with the rest (72 bytes at most) below the 143 that eCryptfs allows.
_KEPT_NAME = 64

_UNKNOWN = "0"
_FORM = re.compile(
    r"\..*\.(?P<pid>\d+)-(?P<start>[0-9a-f]+)-(?P<space>[0-9a-f]+)"
    r"-(?P<boot>[0-9a-f]+)-(?P<machine>[0-9a-f]+)-[0-9a-f]{16}\.mttmp",
    re.DOTALL,
)


class Writer(NamedTuple):
    """Who writes, or wrote, a temporary file.

    Attributes:
        pid: the process id
        start: when the process was started, in the system's ticks; all but `pid` in hexadecimal
        space: the process namespace, in which the id is meant
        boot: the boot of the system
        machine: the machine
    """

    pid: int
    start: str
    space: str
    boot: str
    machine: str

    def is_here(self, here: Writer) -> bool:
        """Whether its process, if there still is one, is among those that `here` can look at."""
        return self.boot != _UNKNOWN and (self.boot, self.space) == (here.boot, here.space)

    def is_of_earlier_boot(self, here: Writer) -> bool:
        """Whether it ran on this machine before that was started anew."""
        known = _UNKNOWN not in {self.machine, self.boot, here.boot}
        return known and self.machine == here.machine and self.boot != here.boot


def temporary_name(target: str) -> str:
    """Make up an unpredictable name beside a target."""
    # os.path.basename knows both of Windows' separators, and takes four times as long.
    start = target.rfind("/") + 1 if os.sep == "/" else len(target) - len(os.path.basename(target))
    folder, name = target[:start], target[start:]
    # Cut between characters, not bytes: some file systems refuse names that are no UTF-8.
    name = name[:_KEPT_NAME]
    while not name.isascii() and len(os.fsencode(name)) > _KEPT_NAME:
        name = name[:-1]
    return f"{folder}.{name}.{_this_label()}-{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"


def writer_of(name: str) -> Writer | None:
    """Say who made a temporary file, by its name; None if the name is not one of ours."""
    found = _FORM.fullmatch(name)
    return found and Writer(int(found["pid"]), *found.group("start", "space", "boot", "machine"))


def is_mine(filepath: str) -> bool:
    """Say whether this process has made up a temporary name, not one that it was forked from."""
    writer = writer_of(os.path.basename(filepath))
    return writer is not None and writer.pid == os.getpid()


def this_writer() -> Writer:
    """Give what names this process in the names of its temporary files."""
    global _this  # noqa: PLW0603 - read once per process
    if _this is None or _this.pid != os.getpid():
        _this = _look()
    return _this


def _this_label() -> str:
    """Give `this_writer()` as it stands in names."""
    global _label  # noqa: PLW0603 - made once per process
    if _label is None or _label[0] is not _this or _this.pid != os.getpid():
        writer = this_writer()
        _label = (writer, "-".join(map(str, writer)))
    return _label[1]


def start_of(pid: int | str) -> tuple[str, bool] | None:
    """Say when a process was started and whether it has ended; None if that cannot be seen.

    Args:
        pid: the process id, or `"self"`

    Returns:
        The start as in the names, and whether nothing of the process is left but its exit code.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The program's name, in brackets, may hold anything; the third field follows it.
            fields = file.read().rpartition(b")")[2].split()
        # The first thread's end is not yet that of the others.
        ended = fields[0] in {b"Z", b"X"} and len(os.listdir(f"/proc/{pid}/task")) <= 1
        return f"{int(fields[19]):x}", ended
    except (OSError, IndexError, ValueError):
        return None


def _look() -> Writer:
    pid = os.getpid()
    start = start_of("self") if sys.platform == "linux" else None
    boot = _content("/proc/sys/kernel/random/boot_id").replace("-", "")[:10]
    try:
        namespaces = [os.stat(f"/proc/self/ns/{kind}").st_ino for kind in ("pid", "time")]
    except OSError:
        namespaces = []
    if start is None or not boot or not namespaces:
        return Writer(pid, *[_UNKNOWN] * 4)
    machine = _content("/etc/machine-id")
    # A checksum, as a machine's id is not to be shown around.
    short = f"{crc32(machine.encode()):x}" if machine else _UNKNOWN
    return Writer(pid, start[0], f"{crc32(repr(namespaces).encode()):x}", boot, short)


def _content(filepath: str) -> str:
    try:
        with open(filepath, "rb") as file:  # no codec: a process without rights may not find one
            return file.read().decode("ascii", "replace").strip()
    except OSError:
        return ""


def _renew() -> None:
    """Forget who the parent was, in a forked child; its id may be that of an ancestor."""
    global _this  # noqa: PLW0603 - one per process
    _this = None


_this: Writer | None = None
_label: tuple[Writer, str] | None = None
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
