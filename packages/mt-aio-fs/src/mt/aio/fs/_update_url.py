"""Changing a JSON object in a store as one step, on the condition that nobody else has."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from mt.aio.fs._json import _parse
from mt.aio.fs._lock import Busy
from mt.aio.fs._update import Step

if TYPE_CHECKING:
    from mt.aio.fs._remote import Remote


class UrlStep(Step):
    """One try; if somebody else was faster it raises Busy, and changes nothing."""

    network = True
    _remote: Remote

    def serve(self, remote: Remote) -> None:
        """Take note of what serves the URL, and see whether it can be written to."""
        remote.check(self.filepath)
        self._remote = remote

    def run(self) -> Any:
        """Do it."""
        if self.on_begin is not None:
            self.on_begin()
        version: dict[str, str] | None = None
        try:
            content, version = self._remote.read_version(self.filepath)
        except FileNotFoundError as exc:
            old = self.default(exc)
        else:
            old = _parse(content, self._remote.shown(self.filepath), {})
        new = self.changed(old)
        try:
            self._remote.replace(self.filepath, self.dump(new), version)
        except OSError as exc:
            if exc.errno == errno.ESTALE:
                raise Busy("others, whose changes came in between") from None
            raise
        self.saved.append(new)
        return new
