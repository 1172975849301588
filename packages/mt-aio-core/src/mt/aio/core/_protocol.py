"""What type checkers see of that which `asyn` makes.

The protocols keep all parameters: taking a keyword out of a signature is beyond `ParamSpec`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, overload

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class AsynFunction(Protocol[P, T_co]):
    """An asyn function that has `sync` and `aio`: what `asyn` makes of an `async def`."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """Call it with `context_vars`, as any asyn function."""

    def sync(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Run it here and now, without any event loop."""

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """Call it in asynchronous mode."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: AsynFunction[Concatenate[Any, Q], T], instance: object, owner: type
    ) -> AsynFunction[Q, T]: ...


class AsynIterator(Protocol[P, T_co]):
    """What `asyn` makes of an asynchronous generator function."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T_co]:
        """Call it with `context_vars`, for an `async for`."""

    def sync(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[T_co]:
        """Iterate with a plain `for`, without any event loop."""

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T_co]:
        """Call it in asynchronous mode."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: AsynIterator[Concatenate[Any, Q], T], instance: object, owner: type
    ) -> AsynIterator[Q, T]: ...


class AsynContext(Protocol[P, T_co]):
    """What `asyn` makes of a function that gives an asynchronous context manager."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T_co]:
        """Call it with `context_vars`, for an `async with`."""

    def sync(self, *args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T_co]:
        """Enter it with a plain `with`, without any event loop."""

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T_co]:
        """Call it in asynchronous mode."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: AsynContext[Concatenate[Any, Q], T], instance: object, owner: type
    ) -> AsynContext[Q, T]: ...
