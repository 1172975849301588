"""Pickling for the other side: what goes by name, by value, out of band, or not at all."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import threading

import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcess
from mt.aio.proc._pickling import dumps, loads, not_importable
from mt.aio.proc._protocol import LARGE

PLUGIN = """
from mt.aio.proc import BgProcess

def helper(x):
    return x + 1

class Plugin(BgProcess):
    def child_handle_message(self, msg):
        return helper(msg)

class Note:
    def __init__(self, text):
        self.text = text
"""


@pytest.fixture
def plugin(tmp_path):
    """Load a module as plugin loaders and test runners do; no fresh interpreter finds it."""
    path = tmp_path / "plugin_of_mine.py"
    path.write_text(PLUGIN)
    spec = importlib.util.spec_from_file_location("plugin_of_mine", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("plugin_of_mine", None)


class Unpicklable:
    """Refuses, for a reason of its own."""

    def __reduce__(self):
        """Raise."""
        raise ArithmeticError("not me")


@pytest.mark.parametrize("obj", [None, 5, "text", {"a": [1, (2, 3)]}, b"x" * (LARGE - 1)])
def test_plain_objects(obj):
    """Ordinary data make one ordinary pickle."""
    segments = dumps(obj)
    assert len(segments) == 1
    assert pickle.loads(segments[0]) == loads(segments) == obj


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_large_bytes(kind):
    """They stay where they are in memory, and are what they were on the other side."""
    data = kind(range(256)) * (LARGE // 256)
    pickled, beside = dumps(data)
    assert len(pickled) < 100
    assert len(beside) == LARGE
    assert loads([pickled, beside]) == data
    assert type(loads([pickled, beside])) is kind


def test_what_plain_pickle_cannot_do():
    """Lambdas, closures and local classes go by value."""
    offset = 3

    class Local:
        value = 7

    func, cls = loads(dumps((lambda x: x + offset, Local)))
    assert (func(4), cls.value) == (7, 7)


def test_a_text_that_names_main():
    """The word `__main__` in a message is just a word."""
    assert loads(dumps("__main__ and more")) == "__main__ and more"


@pytest.mark.parametrize("size", [LARGE - 8, LARGE, LARGE + 8])
def test_large_arrays_travel_out_of_band(size):
    """From the threshold on an array's memory is handed on as it is, not copied."""
    np = pytest.importorskip("numpy")
    array = np.arange(size // 8)
    segments = dumps({"a": array})
    assert len(segments) == (2 if size >= LARGE else 1)
    if size >= LARGE:
        assert np.shares_memory(np.frombuffer(segments[1], dtype=array.dtype), array)
    assert (loads([bytearray(segment) for segment in segments])["a"] == array).all()


@pytest.mark.parametrize("kind", ["strided", "fortran", "read-only", "0-dimensional", "empty"])
def test_arrays_of_any_layout(kind):
    """Whatever lies in memory otherwise than in a row arrives with the same values."""
    np = pytest.importorskip("numpy")
    array = np.arange(4 * LARGE, dtype="u1").reshape(512, -1)
    array = {
        "strided": array[::2, ::3],
        "fortran": np.asfortranarray(array),
        "read-only": array,
        "0-dimensional": np.array(5),
        "empty": np.zeros((0, 5)),
    }[kind]
    array.flags.writeable = kind != "read-only"
    result = loads([bytes(segment) for segment in dumps(array)])
    assert result.shape == array.shape
    assert (result == array).all()


def test_the_error_of_what_cannot_be_pickled():
    """It is the object's own, and a lock's TypeError."""
    with pytest.raises(ArithmeticError, match="not me"):
        dumps(Unpicklable())
    with pytest.raises(TypeError, match="lock"):
        dumps([threading.Lock()])


def test_who_is_importable(plugin):
    """A class of the standard library or of this piece is; one of a made-up module is not."""
    sys.modules["plugin_of_mine"] = plugin
    assert not_importable(BgProcess) == []
    assert not_importable(threading.Thread) == []
    assert not_importable(plugin.Plugin) == ["plugin_of_mine"]


@pytest.mark.parametrize("registered", [True, False])
def test_a_class_that_no_fresh_interpreter_can_import(plugin, start, registered):
    """It is sent by value with its module's helpers, also if `sys.modules` has never seen it."""
    if registered:
        sys.modules["plugin_of_mine"] = plugin
    assert srun(start(plugin.Plugin).send, 41) == 42


def test_such_classes_come_back_as_themselves(plugin, start):
    """A message of a by-value module is an instance of its class in the reply, too."""
    sys.modules["plugin_of_mine"] = plugin

    class Echo(plugin.Plugin):
        def child_handle_message(self, msg):
            return msg

    reply = srun(start(Echo).send, plugin.Note("hello"))
    assert type(reply) is plugin.Note
    assert reply.text == "hello"


def test_registering_by_value_is_undone(plugin, start):
    """The user's own cloudpickle is left as it was."""
    cloudpickle = pytest.importorskip("cloudpickle")
    sys.modules["plugin_of_mine"] = plugin
    start(plugin.Plugin)
    assert cloudpickle.list_registry_pickle_by_value() == set()


def test_an_unpicklable_message(mode, start):
    """It raises at once what pickling raises; nothing is sent, the child knows of nothing."""
    process = start()
    with pytest.raises(ArithmeticError, match="not me"):
        mode.run(process.send, (len, Unpicklable()))
    with pytest.raises(TypeError, match="lock"):
        mode.run(process.send, (len, threading.Lock()))
    assert mode.run(process.send, (len, "abc")) == 3
    assert process.written == []


def test_an_unpicklable_instance(caller):
    """It raises what pickling raises, and no process has been started."""
    with pytest.raises(TypeError, match="lock"):
        caller(lock=threading.Lock())


def test_an_unpicklable_reply(mode, start):
    """It is the sender's error, which names the type; the child lives."""
    process = start()
    with pytest.raises(RuntimeError) as caught:
        mode.run(process.send, (threading.Lock,))
    assert "lock" in str(caught.value)
    assert "cannot be pickled" in str(caught.value)
    assert mode.run(process.send, (len, "abc")) == 3


class _FailsHere:
    """Pickles well, but cannot be loaded."""

    def __reduce__(self):
        """Name a call that fails."""
        return int, ("not a number",)


def test_a_message_that_the_child_cannot_load(mode, start):
    """The sender is told why; the child lives."""
    process = start()
    with pytest.raises(RuntimeError) as caught:
        mode.run(process.send, (len, _FailsHere()))
    assert isinstance(caught.value.__cause__, ValueError)
    assert mode.run(process.send, (len, "abc")) == 3


def test_a_reply_that_cannot_be_loaded_here(mode, start):
    """The sender is told why; the child lives."""

    def reply():
        class Fails:
            def __reduce__(self):
                return int, ("not a number",)

        return Fails()

    process = start()
    with pytest.raises(RuntimeError, match=r"cannot be loaded.*not a number"):
        mode.run(process.send, (reply,))
    assert mode.run(process.send, (len, "abc")) == 3


def test_sending_the_process_itself(mode, start):
    """The copy in the child has no child of its own, and says so."""
    process = start()

    def has_link(copy):
        try:
            return copy.pid
        except RuntimeError as error:
            return str(error)

    assert "no child process" in mode.run(process.send, (has_link, process))
