"""JSON files."""

from __future__ import annotations

import inspect
import json
import threading

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import json_load, json_save

VALUES = [None, True, 1.5, "naïve 日本", [], {}, {"a": [1, {"b": None}], "é": "\U0001f600"}]


def test_signature():
    """Reference, json_load: names, order and defaults of the arguments."""
    filepath, context_vars, inline, kwargs = inspect.signature(json_load).parameters.values()
    assert (inline.name, inline.kind, inline.default) == ("inline", inline.KEYWORD_ONLY, False)
    assert (filepath.name, context_vars.name, context_vars.default) == (
        "filepath",
        "context_vars",
        {},
    )
    assert kwargs.kind is kwargs.VAR_KEYWORD
    assert list(inspect.signature(json_save).parameters.values())[-1].kind is kwargs.VAR_KEYWORD


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_round_trip(mode, tmp_path, value):
    """Reference, json_load and json_save: the object that was saved is loaded."""
    written = mode.run(json_save, tmp_path / "file", value)
    assert written == (tmp_path / "file").stat().st_size
    assert mode.run(json_load, tmp_path / "file") == value


def test_save_passes_keywords_to_dumps(mode, tmp_path):
    """Reference, json_save, kwargs: passed as-is to json.dumps()."""
    options = {"indent": 4, "sort_keys": True, "ensure_ascii": False, "default": str}
    obj = {"b": "é", "a": {1: object}}
    mode.run(json_save, tmp_path / "file", obj, **options)
    assert (tmp_path / "file").read_text("utf-8") == json.dumps(obj, **options)


def test_load_passes_keywords_to_loads(mode, tmp_path):
    """Reference, json_load, kwargs: passed as-is to json.loads()."""
    (tmp_path / "file").write_text("[1.5, {}]", "utf-8")
    options = {"parse_float": str, "object_hook": lambda _: "hook"}
    assert mode.run(json_load, tmp_path / "file", **options) == ["1.5", "hook"]


def test_context_vars_are_needed(tmp_path):
    """Reference, json_load, context_vars: it must include context_vars['async']."""
    with pytest.raises(MissingModeError):
        json_load(tmp_path / "file").send(None)


def test_utf8_with_byte_order_mark(mode, tmp_path):
    """A file is UTF-8, with or without a byte order mark."""
    (tmp_path / "file").write_bytes('"é"'.encode("utf-8-sig"))
    assert mode.run(json_load, tmp_path / "file") == "é"


@pytest.mark.parametrize("content", [b"", b"{", b'"\xff"'])
def test_what_is_no_json(mode, tmp_path, content):
    """What is not JSON in UTF-8 is a ValueError whose note names the file."""
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        mode.run(json_load, tmp_path / "file")
    assert isinstance(caught.value, (json.JSONDecodeError, UnicodeDecodeError))
    assert caught.value.__notes__[-1] == f"in the file {str(tmp_path / 'file')!r}"


def test_missing_file(mode, tmp_path):
    """A missing file is a FileNotFoundError."""
    with pytest.raises(FileNotFoundError):
        mode.run(json_load, tmp_path / "missing")


def test_what_cannot_be_dumped(mode, tmp_path):
    """An object that cannot be dumped is an error and leaves the file as it was."""
    path = tmp_path / "file"
    path.write_text("old", "utf-8")
    loop = []
    loop.append(loop)
    with pytest.raises(TypeError, match="not JSON serializable"):
        mode.run(json_save, path, {"x": object()})
    with pytest.raises(ValueError, match="Circular"):
        mode.run(json_save, path, loop)
    with pytest.raises(UnicodeEncodeError):
        mode.run(json_save, path, "\udc80", ensure_ascii=False)
    assert path.read_text("utf-8") == "old"


def test_parsing_and_dumping_happen_off_the_loop(async_mode, tmp_path):
    """In asynchronous mode a worker thread parses and dumps."""
    threads = []

    def spy(value):
        threads.append(threading.current_thread())
        return "x"

    async def body(context_vars):
        path = tmp_path / "file"
        await json_save(path, object(), context_vars=context_vars, default=spy)
        await json_save(path, [object()], 0o664, context_vars, True, default=spy)
        await json_save(path, {}, context_vars=context_vars)
        assert await json_load(path, context_vars, object_hook=spy) == "x"

    async_mode.run(body)
    assert len(threads) == 3
    assert threading.main_thread() not in threads
