"""Seconds that a machine had to give: the time in which it was short of something does not count.

So a bound in seconds can be asserted however busy the machine is: where processes queue for
processors, disks or memory, less is counted than has passed, and too much of that is no failure.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

PROC = Path("/proc")
SPARE = 1.0  # seconds for the work itself, and for what Linux counts in part; arbitrary


def shortage() -> float | None:
    """Seconds for which somebody had to wait for a part of this machine, since it was started.

    Linux counts them, see "PSI" in its documentation; what a hypervisor has given to others, too.
    None where they are not counted.
    """
    try:
        texts = [(PROC / "pressure" / what).read_text() for what in ("cpu", "io", "memory")]
        ticks = (PROC / "stat").read_text().split()[8]
    except OSError:
        return None
    micros = sum(int(re.search(r"^some .*total=(\d+)", text)[1]) for text in texts)
    return micros / 1e6 + int(ticks) / os.sysconf("SC_CLK_TCK")


class Stopwatch:
    """Counts from when it was made."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._short = shortage()

    def passed(self) -> float:
        """Seconds by the clock."""
        return time.monotonic() - self._begin

    def counted(self) -> float:
        """Seconds that count; none where nobody knows which do."""
        short = shortage()
        if short is None or self._short is None:
            return 0.0
        return max(0.0, self.passed() - (short - self._short))

    def check(self, seconds: float) -> None:
        """Fail if it has taken longer than what was stated, and some."""
        counted = self.counted()
        if counted > seconds + SPARE:  # no assert: -O would drop it
            raise AssertionError(f"{counted:.2f} s, where {seconds:g} s were stated")
