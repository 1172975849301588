"""Whether there is processor enough: how often others took it away from this process."""

from __future__ import annotations

import sys

if sys.platform == "win32":

    def preemptions() -> int:
        """Count what cannot be counted here."""
        return 0

else:
    from resource import RUSAGE_SELF, getrusage

    def preemptions() -> int:
        """Count how often a thread that had not waited for anything had to stop."""
        return getrusage(RUSAGE_SELF).ru_nivcsw
