"""The errors of a helper process; all are RuntimeErrors, as the reference says."""

from __future__ import annotations

from typing import Any


class ChildError(RuntimeError):
    """Something about a helper process went wrong."""


class ChildRaisedError(ChildError):
    """`child_handle_message` raised.

    Its `args` are a text, the exception and the call stack as lines; the exception is also its
    `__cause__`.
    """

    def __str__(self) -> str:
        """The text and the exception; the call stack is shown with the cause."""
        try:
            reason = str(self.args[1])
        except Exception:  # noqa: BLE001 - it is a user's class
            reason = "(it cannot be shown)"
        return f"{self.args[0]} {type(self.args[1]).__name__}: {reason}"


class ChildDiedError(ChildError):
    """The child process is gone.

    Attributes:
        exitcode: its exit status, the negative number of the signal that killed it, or None if
            nobody could tell.
        output: the last lines that it printed, of each the end if it is very long.
    """

    exitcode: int | None = None
    output: tuple[str, ...] = ()


class ChildClosedError(ChildError):
    """The child process was closed by this program."""


class HostLost(ChildError):  # noqa: N818 - a name that the design fixes
    """The machine, worker or cluster where the child lived is gone or does not answer.

    Whether the messages under way have been handled is unknown; none is sent again. The child is
    lost for good, even if the host comes back: `restart` starts another one.
    """


# That is where they are public, whether it has been imported when one of them is raised or not.
for _each in (ChildError, ChildRaisedError, ChildDiedError, ChildClosedError, HostLost):
    _each.__module__ = "mt.aio.proc.lowlevel"


def died(text: str, exitcode: int | None, output: tuple[str, ...]) -> ChildDiedError:
    """Make the error that says how a child ended and what it printed last."""
    if output:
        text += "; the last lines it printed:\n  " + "\n  ".join(output)
    error = ChildDiedError(text)
    error.exitcode, error.output = exitcode, output
    return error


def raised(explained: tuple[bytes | None, str, list[str]]) -> ChildRaisedError:
    """Make the error for an exception that the child's handler raised."""
    from mt.aio.proc._pickling import loads

    pickled, text, lines = explained
    note = "In the child:\n" + "".join(lines).rstrip()
    cause: Any = None
    if pickled is not None:
        try:
            cause = loads([pickled])
            cause.add_note(note)
        except Exception:  # noqa: BLE001 - not all exceptions unpickle or take a note
            cause = None
    if not isinstance(cause, BaseException):
        cause = RuntimeError(text)
        cause.add_note(note)
    error = ChildRaisedError(
        "Child raised an exception while processing the message.", cause, lines
    )
    error.__cause__ = cause
    return error


def how_it_ended(exitcode: int | None) -> str:
    """Say what the exit status of a process means, and what to suspect."""
    if exitcode is None:
        return "is gone, and nobody could tell how it ended"
    if exitcode >= 0:
        return f"exited with status {exitcode}"
    import signal

    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    hint = ""
    if name == "SIGKILL":
        hint = " (by somebody, or by the system for want of memory)"
    elif name == "SIGSEGV":
        hint = " (a crash in native code)"
    return f"was killed by {name}{hint}"
