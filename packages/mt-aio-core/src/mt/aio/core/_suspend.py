"""The error for a coroutine that suspends where there is no event loop to resume it."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NamedTuple

_ASYNCIO = f"{os.sep}asyncio{os.sep}"
_OPAQUE = {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper"}


class SuspendError(RuntimeError):
    """An asyn function suspended in synchronous mode, where nothing could ever resume it."""

    __module__ = "mt.aio.core.lowlevel"  # which may not have been imported when this is raised


class _Await(NamedTuple):
    """One link of the chain of awaits: who stands where."""

    name: str
    filename: str
    line: int

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}, in {self.name}"


def suspend_error(
    asyn_func: Callable[..., Any], coro: Coroutine[Any, Any, Any], awaited: object
) -> SuspendError:
    """Close the suspended coroutine and make the error that names the await."""
    chain, steps, reached = _chain(coro)
    # The await to mend is the user's, not the one inside asyncio that it led to.
    own = [link for link in chain if _ASYNCIO not in link.filename] or chain
    what = chain[len(own)].name if len(own) < len(chain) else _describe(reached, awaited)
    name = getattr(asyn_func, "__qualname__", None) or repr(asyn_func)
    where = f" at {own[-1]}" if own else ""
    error = SuspendError(
        f"{name} suspended in synchronous mode{where}, awaiting {what}. There is no event loop "
        "to resume it: await only asyn functions there and hand context_vars on to them, or run "
        f"{name} in asynchronous mode"
    )
    try:
        for step in reversed(steps):
            _end_step(step)
        coro.close()
    except BaseException as exc:  # noqa: BLE001 - told as a note; the suspension is the error
        error.add_note(f"while it was being closed, {type(exc).__name__}: {exc}")
    return error


def _end_step(step: Any) -> None:
    """Close an asynchronous generator in the middle of a step, which closing the step does not."""
    with suppress(GeneratorExit, StopIteration, StopAsyncIteration):
        step.throw(GeneratorExit())


def _chain(coro: object) -> tuple[list[_Await], list[object], object]:
    """Follow the awaits from the outermost coroutine to what it finally waits for.

    The second result are the steps of asynchronous generators on the way.
    """
    chain: list[_Await] = []
    steps: list[object] = []
    while coro is not None:
        for prefix in ("cr", "gi", "ag"):  # coroutine, generator, asynchronous generator
            frame = getattr(coro, f"{prefix}_frame", None)
            if frame is not None:
                name = getattr(coro, "__qualname__", frame.f_code.co_name)
                chain.append(_Await(name, frame.f_code.co_filename, frame.f_lineno))
                attribute = "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await"
                coro = getattr(coro, attribute, None)
                break
        else:
            inside = _inside(coro)
            if inside is None:
                break
            if hasattr(inside, "ag_frame"):
                steps.append(coro)
            coro = inside
    return chain, steps, coro


def _inside(awaited: object) -> object:
    """Find the generator or coroutine that an opaque step of one, as `anext` gives, belongs to."""
    if type(awaited).__name__ not in _OPAQUE:
        return None
    from gc import get_referents  # there is no other way to it

    framed = ("ag_frame", "cr_frame", "gi_frame")
    found = (each for each in get_referents(awaited) if any(hasattr(each, f) for f in framed))
    return next(found, None)


def _describe(reached: object, awaited: object) -> str:
    """Name the object at the end of the chain: a future, say, or a bare yield."""
    for candidate in (awaited, reached):
        if candidate is not None:
            return f"{type(candidate).__name__} {candidate!r}"
    return "a bare yield"
