"""The errors that the manager still has to report: each one once, and never too many of them."""

from __future__ import annotations

from contextlib import suppress

_KEPT = 100  # arbitrary: enough to see what goes wrong, few enough to hold with their frames

_SEVERAL = "several aprocs failed"


class Failures:
    """Errors and cancellations of aprocs that nobody has been told of yet."""

    __slots__ = ("__weakref__", "_cancelled", "_dropped", "_last_word", "_unnamed", "errors")

    def __init__(self) -> None:
        self.errors: list[BaseException] = []  # the same list for ever: `send` looks at it
        self._dropped = 0
        self._cancelled: list[str] = []
        self._unnamed = 0
        self._last_word: object = None

    def add(self, error: BaseException, note: str) -> None:
        """Keep an error with a note of where it came from, or count it if there are too many."""
        if len(self.errors) < _KEPT:
            with suppress(Exception):  # an exception class may refuse new attributes
                error.add_note(note)
            self.errors.append(error)
            if self._last_word is None:  # weakref is worth loading only now
                from weakref import finalize

                self._last_word = finalize(self, _tell_log, self.errors)
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
        group = BaseExceptionGroup(_SEVERAL, errors)
        if dropped:
            group.add_note(f"and {dropped} more errors, which were counted but not kept")
        return group

    def _take_cancelled(self) -> BaseException:
        from asyncio import CancelledError

        error = CancelledError("An aproc has been cancelled.")
        for aproc in self._cancelled:
            error.add_note(f"cancelled aproc: {aproc}")
        if self._unnamed:
            error.add_note(f"and {self._unnamed} more")
        self._cancelled, self._unnamed = [], 0
        return error


def _tell_log(errors: list[BaseException]) -> None:
    """Log what is left when a manager is dropped or the program ends, as asyncio does for tasks."""
    if errors:
        from logging import getLogger

        error = errors[0] if len(errors) == 1 else BaseExceptionGroup(_SEVERAL, errors)
        getLogger("mt.aio.manager").error(
            "an AprocManager was dropped before anybody was told of these errors; "
            "await cleanup(), or use `async with`",
            exc_info=error,
        )
