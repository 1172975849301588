"""`@asyn`: from one definition, `f(...)`, `f.sync(...)` and `f.aio(...)`.

The function itself is what comes back, with two attributes more, so that calling it costs what it
did. A method cannot be served so (a bound method hands on the function's attributes, without the
instance); it is wrapped in a descriptor.

For type checkers the result is one of three protocols, by what a call of the function gives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import WRAPPER_ASSIGNMENTS, partial
from types import CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from mt.aio.core._inline import enter, iterate
from mt.aio.core._protocol import AsynContext, AsynFunction, AsynIterator
from mt.aio.core._run import drive

if TYPE_CHECKING:
    from inspect import Signature

P = ParamSpec("P")
T = TypeVar("T")

_NAMES = ("__module__", "__name__", "__qualname__", "__doc__")


@overload
def asyn(func: Callable[P, Coroutine[Any, Any, T]]) -> AsynFunction[P, T]: ...
@overload
def asyn(func: Callable[P, AbstractAsyncContextManager[T]]) -> AsynContext[P, T]: ...
@overload
def asyn(func: Callable[P, AsyncIterator[T]]) -> AsynIterator[P, T]: ...
def asyn(func: Callable[..., Any]) -> Any:
    """Give an asyn function `sync` and `aio`, and leave it otherwise as it is.

    `f(..., context_vars=context_vars)` goes on being the way to call it from another asyn
    function. `f.sync(...)` is for plain code, and `await f.aio(...)` for a coroutine. For an
    asynchronous generator function that is `for x in f.sync(...)` and `async for x in
    f.aio(...)`; for one that gives a context manager, `with` and `async with`. If that context
    manager has an `__enter__` of its own, `with` uses it.

    Neither takes `context_vars`; if that is not the last positional parameter, give those behind
    it by keyword. It should have a default, `context_vars: ContextVars = {}`, since type
    checkers cannot be told that it is left out.

    Args:
        func: a function or method with a keyword `context_vars`, that is an `async def`, with
            `yield` or without, or a function that gives an asynchronous context manager. Not a
            static or class method.

    Returns:
        The very same function, with the two attributes; for a method, a descriptor that gives
        it to the class, and to an instance something bound that has them as well.

    Raises:
        TypeError: `func` is no function, or has no parameter `context_vars`.

    Example:
        >>> from mt.aio.core import asyn, sleep
        >>> @asyn
        ... async def double(x, context_vars={}):
        ...     await sleep(0.001, context_vars=context_vars)
        ...     return 2 * x
        >>> double.sync(3)
        6
    """
    if not isinstance(func, FunctionType):
        raise TypeError(f"@asyn is for functions and methods, not {type(func).__name__}")
    if not _takes_context_vars(getattr(func, "__wrapped__", func).__code__):
        raise TypeError(
            f"{func.__qualname__} has no parameter context_vars: an asyn function is told its mode"
        )
    setattr(func, "sync", Sync(func))  # noqa: B010 - a checker knows that functions have none
    setattr(func, "aio", Aio(func))  # noqa: B010 - likewise
    owner = func.__qualname__.rpartition(".")[0]
    if owner and not owner.endswith("<locals>"):  # defined in the body of a class
        return AsynMethod(func)
    return func


def _takes_context_vars(code: Any) -> bool:
    """Tell whether a function's code can be given `context_vars` by keyword."""
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[code.co_posonlyargcount : count]
    takes_any_keyword = bool(code.co_flags & 0x08)  # CO_VARKEYWORDS, without importing inspect
    return takes_any_keyword or "context_vars" in names


def _look_like(self: object, func: Callable[..., Any]) -> None:
    """Take over a function's names and docstring."""
    self.__dict__.update({name: getattr(func, name) for name in WRAPPER_ASSIGNMENTS})


class _Way:
    """One of the two ways of calling an asyn function that are its attributes."""

    name = ""

    def __init__(self, func: Callable[..., Any]) -> None:
        _look_like(self, func)
        self.func = func
        self.__qualname__ = f"{func.__qualname__}.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        # A function that is pickled by value has nothing but its code when this is restored.
        names = {key: self.__dict__[key] for key in _NAMES}
        return _way_of, (self.func, self.name), names

    def __repr__(self) -> str:
        return f"<{self.__qualname__} of {self.func!r}>"

    @property
    def __signature__(self) -> Signature:
        """The function's, without `context_vars`."""
        from inspect import signature

        full = signature(self.func)
        kept = [p for name, p in full.parameters.items() if name != "context_vars"]
        seen = list(full.parameters)
        if "context_vars" in seen:  # those behind it can be given by keyword only
            behind = seen[seen.index("context_vars") :]
            kept = [
                p.replace(kind=p.KEYWORD_ONLY)
                if p.name in behind and p.kind is p.POSITIONAL_OR_KEYWORD
                else p
                for p in kept
            ]
        return full.replace(parameters=kept)


class Sync(_Way):
    """`f.sync`."""

    name = "sync"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.func(*args, context_vars={"async": False}, **kwargs)
        if type(result) is CoroutineType:
            return drive(result, self.func)
        if hasattr(result, "__aenter__"):
            return result if hasattr(result, "__enter__") else enter(result)
        if hasattr(result, "__aiter__"):
            return iterate(result)
        return drive(result, self.func)  # a coroutine of another kind; else a TypeError


class Aio(_Way):
    """`f.aio`."""

    name = "aio"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, context_vars={"async": True}, **kwargs)


def _way_of(func: Any, name: str) -> Any:
    """Give a function's attribute, or make it."""
    found = getattr(func, name, None)
    return (Sync if name == Sync.name else Aio)(func) if found is None else found


class AsynMethod:
    """An asyn method in its class."""

    def __init__(self, func: FunctionType) -> None:
        _look_like(self, func)
        self.__wrapped__ = func

    @property
    def __isabstractmethod__(self) -> bool:
        return bool(getattr(self.__wrapped__, "__isabstractmethod__", False))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        func = self.__wrapped__
        return func if instance is None else BoundAsyn(func, instance)


class BoundAsyn(partial[Any]):
    """An asyn method of an instance. Being a `partial`, it is called at the speed of C."""

    def __getattr__(self, name: str) -> Any:
        if name == "__self__":
            return self.args[0]
        if name == "__func__":
            return self.func
        if name in {"__name__", "__qualname__"}:  # no more, or inspect takes it for a function
            return getattr(self.func, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def sync(self) -> Any:
        """Run it here and now."""
        return partial(self.func.sync, self.args[0])  # type: ignore[attr-defined]  # asyn sets it

    @property
    def aio(self) -> Any:
        """Call it in asynchronous mode."""
        return partial(self.func.aio, self.args[0])  # type: ignore[attr-defined]  # asyn sets it

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundAsyn):
            return NotImplemented
        return self.func is other.func and self.args[0] is other.args[0]

    def __hash__(self) -> int:
        return hash((self.func, id(self.args[0])))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.args[0], self.func.__name__)
