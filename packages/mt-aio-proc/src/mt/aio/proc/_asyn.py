"""`@asyn` for a module that each child imports: the decorating waits for the first look."""

from __future__ import annotations

TYPE_CHECKING = False  # checkers take this very name for true
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class LateAsyn:
    """A method that becomes what `mt.aio.core.asyn` makes of it when somebody looks at it.

    A child has no use for that, and would load `mt.aio.core` for nothing.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        self.__wrapped__ = func
        self.__doc__ = func.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        from mt.aio.core import asyn

        method: Any = asyn(self.__wrapped__)
        setattr(self._owner, self._name, method)
        return method.__get__(instance, owner)
