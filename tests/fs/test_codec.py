"""JSON in pieces: the same as in one call, to the byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt.aio.fs import _codec

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=10),
    st.sampled_from(["}, {", '"', "], [", '\\", "', "\ud800"]),
)
OBJECTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=12), st.dictionaries(st.text(max_size=5), inner, max_size=12)
    ),
    max_leaves=60,
)
OPTIONS = st.sampled_from(
    [
        {},
        {"sort_keys": True},
        {"ensure_ascii": True, "separators": (",", ":")},
        {"indent": 2},
        {"indent": 1, "sort_keys": True, "separators": (" , ", " : ")},
        {"cls": json.JSONEncoder},
        {"default": str, "skipkeys": True, "check_circular": False},
    ]
)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(_codec, "_PIECE", 40)


@settings(max_examples=300, deadline=None)
@given(OBJECTS, OPTIONS)
def test_dump_is_that_of_one_call(obj, options):
    """Whatever the options, the bytes are those of json.dumps."""
    assert _codec.dump(obj, options) == json.dumps(obj, **options).encode()


@settings(max_examples=300, deadline=None)
@given(OBJECTS, OPTIONS)
def test_load_is_that_of_one_call(obj, options):
    """However the text is written, the object comes back."""
    assert _codec.load(json.dumps(obj, **options), {}) == obj


@settings(max_examples=300, deadline=None)
@given(OBJECTS, st.data())
def test_a_damaged_text_fails_as_in_one_call(obj, data):
    """A wrong character gives the error of json.loads, or its result."""
    text = json.dumps(obj)
    place = data.draw(st.integers(0, len(text) - 1))
    text = text[:place] + data.draw(st.sampled_from('[]{},:"x ')) + text[place + 1 :]
    assert _outcome(_codec.load, text, {}) == _outcome(json.loads, text)


def _outcome(func, *args):
    try:
        return repr(func(*args))
    except json.JSONDecodeError as exc:
        return exc.msg, exc.pos


@pytest.mark.parametrize(
    "obj",
    [
        {7: "a", None: "b", 2.5: "c", True: "d", (1, 2): "skipped"},
        {(number,): number for number in range(50)},
        {**{(number,): number for number in range(50)}, "kept": [1] * 50},
    ],
)
def test_keys_that_are_no_strings(obj):
    """They are converted or skipped as json.dumps does it."""
    options = {"skipkeys": True}
    assert _codec.dump(obj, options) == json.dumps(obj, **options).encode()


def test_repeated_keys():
    """The last of equal keys counts, wherever the text is cut."""
    members = ", ".join(f'"{number % 7}": [{number}, {number}]' for number in range(100))
    assert _codec.load("{" + members + "}", {}) == json.loads("{" + members + "}")


def test_an_object_in_itself_is_refused():
    """A circle is found, as by json.dumps."""
    obj = [1, 2, 3]
    obj.append(obj)
    with pytest.raises(ValueError, match="Circular reference"):
        _codec.dump(obj, {})


def test_what_cannot_be_dumped_is_refused():
    """The error is that of json.dumps."""
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        _codec.dump([*range(100), {1}], {})


def test_hooks_see_every_object():
    """Options of json.loads make it one call."""
    text = json.dumps([{"a": number} for number in range(100)])
    assert _codec.load(text, {"object_hook": len}) == [1] * 100


def test_marks_inside_of_members_do_no_harm():
    """Text that looks like the border between members is not taken for one."""
    obj = [{"a": "}, {", "b": [{"a": 1}, {"a": 2}] * 5} for _ in range(100)]
    assert _codec.load(json.dumps(obj), {}) == obj
