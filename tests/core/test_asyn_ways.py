"""@asyn: what methods, context managers and restored functions have, beyond the usual."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager

import pytest

from mt.aio.core import asyn
from mt.aio.core._asyn import Aio, Sync, _way_of


class Base(ABC):
    """A class with asyn methods."""

    @asyn
    async def one(self, context_vars={}):
        """Give one."""
        return 1

    @asyn
    async def two(self, context_vars={}):
        """Give two."""
        return 2

    @asyn
    @abstractmethod
    async def three(self, context_vars={}):
        """Give three."""


class Whole(Base):
    """One that can be made."""

    @asyn
    async def three(self, context_vars={}):
        """Give three, indeed."""
        return 3


def test_only_what_is_abstract_is():
    """A class can be made when each abstract method has been given."""
    with pytest.raises(TypeError, match=r"abstract method '?three"):
        Base()
    assert Whole().three.sync() == 3


def test_a_method_in_its_class_has_its_names():
    """For whoever looks into the class, as documentation tools do."""
    seen = vars(Base)["one"]
    assert (seen.__name__, seen.__doc__) == ("one", "Give one.")
    assert seen.__qualname__ == "Base.one"


def test_bound_methods_are_equal_if_both_parts_are():
    """The method and the instance; what is no bound method decides by itself."""

    class Any:
        def __eq__(self, other):
            return True

        __hash__ = None

    whole = Whole()
    assert whole.one == whole.one
    assert whole.one != whole.two
    assert whole.one != Whole().one
    assert whole.one == Any()
    assert (whole.one == 1) is False


def test_a_context_manager_with_a_way_of_its_own():
    """`with` uses its `__enter__`, if it has one."""

    class Both(AbstractAsyncContextManager):
        async def __aenter__(self):
            return "asynchronous"

        async def __aexit__(self, *_):
            pass

        def __enter__(self):
            return "plain"

        def __exit__(self, *_):
            pass

    @asyn
    def both(*, context_vars={}):
        return Both()

    with both.sync() as way:
        assert way == "plain"


def test_a_restored_way():
    """That of its function, if it has one; else, as after pickling by value, a new one."""

    async def bare(context_vars={}):
        return context_vars["async"]

    sync, aio = _way_of(bare, "sync"), _way_of(bare, "aio")
    assert (type(sync), type(aio)) == (Sync, Aio)
    assert sync() is False
    whole = asyn(bare)
    assert _way_of(whole, "sync") is whole.sync
    assert _way_of(whole, "aio") is whole.aio
