"""What became of the aprocs: counts, and their errors handled as the policy says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mt.aio.manager._failure import Failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from mt.aio.manager._aproc import Aproc

_POLICIES = ("raise", "silent", "warn")


class Ledger:
    """Counts aprocs that are done, and reports their errors."""

    __slots__ = ("_failures", "_listeners", "_logger", "_policy", "done", "errors", "failed")

    def __init__(
        self,
        policy: str,
        logger: Any,
        listeners: list[Callable[[str, BaseException | None], object]],
    ) -> None:
        if policy not in _POLICIES:
            raise ValueError(
                f"handle_exception must be one of {', '.join(map(repr, _POLICIES))}, not {policy!r}"
            )
        if policy == "warn" and logger is None:
            raise ValueError("handle_exception='warn' needs a logger")
        self._policy = policy
        self._logger = logger
        self._listeners = listeners
        self._failures = Failures()
        # Not empty: `report(cancelled=False)` would raise.
        self.errors: list[BaseException] = self._failures.errors
        self.done: int = 0
        self.failed: int = 0

    def settle(self, aproc: Aproc, error: BaseException | None, *, raised: bool = False) -> None:
        """Count an aproc that was not cancelled; handle its error, unless it goes up anyway."""
        self.done += 1
        if error is not None:
            self.failed += 1
            if raised or isinstance(error, (KeyboardInterrupt, SystemExit)):
                pass  # asyncio raises those two out of the event loop by itself
            elif self._policy == "raise":
                self._failures.add(error, f"aproc {aproc}")
            elif self._policy == "warn":
                self._warn("An aproc has failed: %s: %s: %s", aproc, type(error).__name__, error)
        self._tell(aproc, error)

    def settle_cancelled(self, aproc: Aproc) -> None:
        """Count a cancelled aproc and handle it, unless it is reported as cut off."""
        from asyncio import CancelledError

        self.done += 1
        self.failed += 1
        if aproc.state == "":
            self.handle_cancelled(aproc)
        elif aproc.state == "still running":
            aproc.state = "cancelled"
        self._tell(aproc, CancelledError("An aproc has been cancelled."))

    def handle_cancelled(self, aproc: Aproc) -> None:
        """Do with a cancelled aproc as the policy says."""
        if self._policy == "raise":
            self._failures.add_cancelled(str(aproc))
        elif self._policy == "warn":
            self._warn("An aproc has been cancelled: %s", aproc)

    def take(self) -> BaseException | None:
        """Hand over all that has not been reported, as one error."""
        return self._failures.take(cancelled=True)

    def report(self, *, cancelled: bool) -> None:
        """Raise what has not been reported, once."""
        error = self._failures.take(cancelled=cancelled)
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame

    def _warn(self, text: str, *args: object) -> None:
        self._call(self._logger.warning, text, *args)

    def _tell(self, aproc: Aproc, error: BaseException | None) -> None:
        for listener in self._listeners:
            self._call(listener, aproc.name, error)

    def _call(self, func: Callable[..., object], *args: object) -> None:
        """Call the user's code, which must not stop the bookkeeping."""
        try:
            func(*args)
        except Exception as error:  # noqa: BLE001  # kept, and raised by the next send or cleanup
            self._failures.add(error, "raised by the logger or by on_done of an AprocManager")
