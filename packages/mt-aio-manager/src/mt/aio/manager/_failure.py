"""The errors that the manager still has to report: each one once, and never too many of them."""

from __future__ import annotations

from contextlib import suppress

_KEPT = 100  # arbitrary: enough to see what goes wrong, few enough to hold with their frames


class Failures:
    """Errors and cancellations of aprocs that nobody has been told of yet."""

    __slots__ = ("_cancelled", "_dropped", "_unnamed", "errors")

    def __init__(self) -> None:
        self.errors: list[BaseException] = []  # the same list for ever: `send` looks at it
        self._dropped = 0
        self._cancelled: list[str] = []
        self._unnamed = 0

    def add(self, error: BaseException, note: str) -> None:
        """Keep an error with a note of where it came from, or count it if there are too many."""
        if len(self.errors) < _KEPT:
            with suppress(Exception):  # an exception class may refuse new attributes
                error.add_note(note)
            self.errors.append(error)
        else:
            self._dropped += 1

    def add_cancelled(self, aproc: str) -> None:
        """Remember that an aproc was cancelled."""
        if len(self._cancelled) < _KEPT:
            self._cancelled.append(aproc)
        else:
            self._unnamed += 1

    def take(self, *, cancelled: bool) -> BaseException | None:
        """Hand all errors over as one, and forget them.

        One alone comes as itself, several come as a group. Cancellations, if asked for, come as
        one `CancelledError` however many they are, so that it can be caught as such.
        """
        errors, dropped = self.errors.copy(), self._dropped
        self.errors.clear()
        self._dropped = 0
        if cancelled and self._cancelled:
            errors.append(self._take_cancelled())
        if not errors:
            return None
        if len(errors) == 1:
            return errors[0]
        group = BaseExceptionGroup("several aprocs failed", errors)
        if dropped:
            group.add_note(f"and {dropped} more errors, which were counted but not kept")
        return group

    def __del__(self) -> None:
        """Log the errors of a manager that was dropped, as asyncio does those of a task."""
        if not self.errors:
            return
        with suppress(Exception):  # at the interpreter's end there may be nothing to log with
            from logging import getLogger

            getLogger("mt.aio.manager").error(
                "an AprocManager was dropped before anybody was told of these errors; "
                "await cleanup(), or use `async with`",
                exc_info=self.take(cancelled=False),
            )

    def _take_cancelled(self) -> BaseException:
        from asyncio import CancelledError

        error = CancelledError("An aproc has been cancelled.")
        for aproc in self._cancelled:
            error.add_note(f"cancelled aproc: {aproc}")
        if self._unnamed:
            error.add_note(f"and {self._unnamed} more")
        self._cancelled, self._unnamed = [], 0
        return error
