"""What crosses over beside messages, if it is asked for: log records, warnings, context variables.

Both sides are in here: what the child tells, and what the parent makes of it.
"""

from __future__ import annotations

from mt.aio.proc._pickling import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context, ContextVar
    from typing import Any

    from mt.aio.proc._frames import Buffer

    Tell = Callable[[object], None]


def check(forward: tuple[str, ...]) -> tuple[str, ...]:
    """See, in the parent, that all of it can be forwarded; add what the child has to know.

    Raises:
        ValueError: a name is none of those that are known.
        ImportError, AttributeError: there is no such context variable.
    """
    checked = []
    for name in forward:
        if name == "logging":
            import logging

            checked.append(f"logging={logging.getLogger().level}")
        elif name == "warnings":
            checked.append(name)
        elif ":" in name:
            variable(name)
            checked.append(name)
        else:
            raise ValueError(
                f"forward={name!r}: it takes 'logging', 'warnings', and context variables as "
                "'module:name'"
            )
    return tuple(checked)


def variable(name: str) -> ContextVar[Any]:
    """Import a context variable."""
    from importlib import import_module

    module, _, attribute = name.partition(":")
    found: ContextVar[Any] = getattr(import_module(module), attribute)
    return found


def values(names: tuple[str, ...]) -> dict[str, Any]:
    """Return those context variables that have a value here and now."""
    from contextvars import copy_context

    context = copy_context()
    return {name: context[found] for name in names if (found := variable(name)) in context}


def context(given: dict[str, Any]) -> Context:
    """Make the context in which a message is handled, in the child."""
    from contextvars import copy_context

    new = copy_context()
    for name, value in given.items():
        new.run(variable(name).set, value)
    return new


def begin(forward: tuple[str, ...], tell: Tell) -> None:
    """Begin to forward, in the child."""
    for name in forward:
        if name.startswith("logging="):
            _forward_logging(int(name.partition("=")[2]), tell)
        elif name == "warnings":
            _forward_warnings(tell)


def repeat(*told: Buffer) -> None:
    """Do, in the parent, what happened in the child."""
    what, *args = loads(told)
    if what == "logging":
        import logging

        record = logging.makeLogRecord(args[0])
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
    else:
        import warnings

        message, category, filename, line = args
        warnings.warn_explicit(message, category, filename, line)


def _forward_logging(level: int, tell: Tell) -> None:
    import logging

    class Forward(logging.Handler):
        """Hands each record to the parent, as far as it can be pickled."""

        def emit(self, record: logging.LogRecord) -> None:
            try:
                told = {**vars(record), "msg": record.getMessage(), "args": None}
                if record.exc_info:
                    told["exc_text"] = logging.Formatter().formatException(record.exc_info)
                    told["exc_info"] = None
                tell(("logging", told))
            except Exception:  # noqa: BLE001 - as every handler of `logging` does
                self.handleError(record)

    root = logging.getLogger()
    root.addHandler(Forward())
    root.setLevel(level)


def _forward_warnings(tell: Tell) -> None:
    import warnings

    def show(  # noqa: PLR0917 - as `warnings` calls it
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,  # noqa: ARG001 - likewise
        line: str | None = None,  # noqa: ARG001 - likewise
    ) -> None:
        tell(("warnings", str(message), category, filename, lineno))

    warnings.showwarning = show
