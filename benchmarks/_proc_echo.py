"""What our own child does in suite `proc`: alone in a module, for it is imported in each child."""

from __future__ import annotations

import sys
import time

from mt.aio.proc import BgProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Echo(BgProcess):
    """Returns its messages; sleeps or prints if it is told to."""

    def child_handle_message(self, msg: Any) -> Any:
        """Return the message."""
        if type(msg) is dict:
            time.sleep(msg.get("sleep", 0))
            sys.stdout.write("a line of text\n" * msg.get("lines", 0))
        return msg

    def on_write(self, stream: str, text: str) -> None:  # noqa: ARG002 - not looked at
        """Take the lines and do nothing."""
        text.splitlines()
