"""What the handler raises: how it reaches who sent the message."""

from __future__ import annotations

import dataclasses
import os
import pickle
import threading
import traceback
import types

import pytest

from mt.aio.core import srun
from mt.aio.proc import lowlevel


def _raise(make, *args):
    """Raise, in the child, what this makes."""
    raise make(*args)


def _two_arguments():
    class TwoArgumentsError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    return TwoArgumentsError(1, 2)


def _with_a_lock():
    return ValueError("has a lock", threading.Lock())


def _frozen():
    @dataclasses.dataclass(frozen=True)
    class FrozenError(Exception):
        pass

    return FrozenError()


def _speechless():
    class SpeechlessError(Exception):
        def __str__(self):
            raise ValueError("no words")

    return SpeechlessError()


def _local(func):
    """Make a top-level function one that travels by value, whatever the child can import."""
    return types.FunctionType(func.__code__, {"__builtins__": __builtins__, **func.__globals__})


def test_an_exception_of_the_handler(mode, start):
    """Reference, child_handle_message: an exception is sent with its call stack's lines.

    It is raised as a RuntimeError whose `args` are a text, the exception and the lines.
    """
    process = start()

    def fails_deep_down():
        raise LookupError("nothing there")

    with pytest.raises(RuntimeError) as caught:
        mode.run(process.send, (fails_deep_down,))
    text, exception, lines = caught.value.args
    assert "Child raised an exception" in text
    assert (type(exception), exception.args) == (LookupError, ("nothing there",))
    assert caught.value.__cause__ is exception
    assert any("fails_deep_down" in line for line in lines)
    assert "nothing there" in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "in fails_deep_down" in shown, "the remote traceback is shown"
    assert isinstance(caught.value, lowlevel.ChildRaisedError)
    assert mode.run(process.send, (len, "abc")) == 3


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (_two_arguments, "1 and 2"),
        (_with_a_lock, "has a lock"),
        (_frozen, "FrozenError"),
        (_speechless, "SpeechlessError"),
        (KeyboardInterrupt, "KeyboardInterrupt"),
        (MemoryError, "MemoryError"),
        (GeneratorExit, "GeneratorExit"),
        (StopIteration, "StopIteration"),
        (RecursionError, "RecursionError"),
    ],
    ids=lambda param: getattr(param, "__name__", ""),
)
def test_awkward_exceptions(mode, start, make, word):
    """One that does not pickle, does not unpickle, or is no Exception: described all the same."""
    process = start()
    local = (_local(_raise), _local(make) if hasattr(make, "__code__") else make)
    with pytest.raises(lowlevel.ChildRaisedError) as caught:
        mode.run(process.send, local)
    assert isinstance(caught.value.args[1], BaseException)
    assert word in "".join(caught.value.args[2])
    assert str(caught.value)
    assert "".join(traceback.format_exception(caught.value))
    assert mode.run(process.send, (len, "abc")) == 3


def test_an_exception_with_an_array(start):
    """A large array in an exception does not cost it its type."""
    np = pytest.importorskip("numpy")

    def fails(array):
        raise LookupError(array)

    with pytest.raises(RuntimeError) as caught:
        srun(start().send, (fails, np.zeros(100_000)))
    assert type(caught.value.__cause__) is LookupError
    assert caught.value.__cause__.args[0].shape == (100_000,)


def test_the_errors_can_be_pickled(start):
    """They travel on, from a child that has children of its own, for instance."""
    process = start()
    with pytest.raises(RuntimeError) as raised:
        srun(process.send, (_local(_raise), LookupError, "mine"))
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (str(copy), copy.args[2]) == (str(raised.value), raised.value.args[2])
    with pytest.raises(RuntimeError) as died:
        srun(process.send, (os._exit, 3))
    copy = pickle.loads(pickle.dumps(died.value))
    assert (str(copy), copy.exitcode) == (str(died.value), 3)


def test_errors_bear_their_public_names(run_program):
    """Also if nothing has imported the module where they are public."""
    out = run_program(
        """
        import os, pickle
        from mt.aio.core import srun
        from mt.aio.proc import BgProcess
        class Child(BgProcess):
            def child_handle_message(self, msg):
                os._exit(3)
        with Child() as child:
            try:
                srun(child.send, None)
            except RuntimeError as exc:
                error = exc
        import sys
        print("mt.aio.proc.lowlevel" in sys.modules)
        print(type(error).__module__, type(pickle.loads(pickle.dumps(error))) is type(error))
        """
    )
    assert out.split() == ["False", "mt.aio.proc.lowlevel", "True"]
