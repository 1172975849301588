"""h5_save and h5_load."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from mt.aio.h5 import H5Item, h5_load, h5_save

TREE = {
    "number": 3,
    "real": 2.5,
    "yes": True,
    "text": "grüße",
    "empty text": "",
    "bytes": b"a\0b\0",
    "no bytes": b"",
    "list": [1, 2, 3],
    "words": ["a", "é"],
    "array": np.arange(6.0).reshape(2, 3),
    "none of them": np.zeros((0, 3)),
    "fixed": np.array([b"ab", b"c"]),
    "names": np.array([["x"], ["yy"]]),
    "bool": np.array([True, False]),
    "complex": np.array([1j]),
    "group": {"deeper": {"x": np.arange(3, dtype=">i2")}, "nothing": {}},
}


def _plain(value):
    """Turn arrays into lists, to compare trees."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def test_round_trip(mode, tmp_path):
    """What was saved is loaded."""

    async def body(context_vars):
        await h5_save(tmp_path / "new" / "a.h5", TREE, context_vars=context_vars)
        return await h5_load(tmp_path / "new" / "a.h5", context_vars=context_vars)

    found = mode.run(body)
    assert _plain(found) == _plain(TREE)
    for name in ("array", "none of them", "fixed", "bool", "complex"):
        assert found[name].dtype == TREE[name].dtype
        assert found[name].shape == TREE[name].shape
    assert found["group"]["deeper"]["x"].dtype == np.dtype(">i2")


def test_options_and_attributes(mode, tmp_path):
    """Options hold for arrays; an item has its own, and attributes."""
    tree = {
        "a": np.arange(10_000),
        "b": H5Item(np.arange(10_000), {"unit": "m"}, compression="lzf"),
        "n": H5Item(3, {"why": "because"}),
        "g": H5Item({"x": [1, 2]}, {"run": 7}),
    }

    async def body(context_vars):
        path = tmp_path / "a.h5"
        root = H5Item(tree, {"root": 1})
        await h5_save(path, root, 0o600, context_vars, verify=True, compression="gzip")
        return await h5_load(path, None, context_vars, attrs=True)

    found = mode.run(body)
    assert found.attrs == {"root": 1}
    assert found.value["b"].attrs == {"unit": "m"}
    assert found.value["n"].attrs == {"why": "because"}
    assert found.value["g"].attrs == {"run": 7}
    assert found.value["g"].value["x"].tolist() == [1, 2]
    assert isinstance(found.value["a"], np.ndarray)
    with h5py.File(tmp_path / "a.h5") as file:
        assert [file[name].compression for name in ("a", "b", "n")] == ["gzip", "lzf", None]


def test_selection(mode, tmp_path):
    """A name gives that object; several a dict; a mapping parts of them."""

    async def body(context_vars):
        path = tmp_path / "a.h5"
        await h5_save(path, TREE, context_vars=context_vars)
        assert await h5_load(path, "text", context_vars) == "grüße"
        assert list(await h5_load(path, "group/deeper", context_vars)) == ["x"]
        several = await h5_load(path, ["real", "group/nothing"], context_vars)
        assert _plain(several) == {"real": 2.5, "group/nothing": {}}
        parts = {"array": np.s_[:, 1], "words": 1}
        assert _plain(await h5_load(path, parts, context_vars)) == {
            "array": [1.0, 4.0],
            "words": "é",
        }
        with pytest.raises(KeyError, match="has no 'nobody'"):
            await h5_load(path, "nobody", context_vars)
        with pytest.raises(TypeError, match="selection is"):
            await h5_load(path, 3, context_vars)
        with pytest.raises(IndexError, match="dataset 'array'"):
            await h5_load(path, {"array": 9}, context_vars)

    mode.run(body)


def test_progress(mode, tmp_path):
    """One count over all arrays."""
    calls = []

    async def body(context_vars):
        tree = {"a": np.zeros(1000), "n": 3, "b": np.zeros(500)}
        progress = lambda *call: calls.append(call)  # noqa: E731  # the shortest
        await h5_save(tmp_path / "a.h5", tree, context_vars=context_vars, progress=progress)

    mode.run(body)
    assert calls[-1] == (12_000, 12_000)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


_CYCLE: dict = {"a": {}}
_CYCLE["a"]["b"] = _CYCLE


@pytest.mark.parametrize(
    ("tree", "error", "text"),
    [
        ({"a": None}, TypeError, "dataset '/a'"),
        ({"a": {"b": object()}}, TypeError, "dataset '/a/b'"),
        ({"a": [[1], [2, 3]]}, ValueError, "dataset '/a'"),
        ({"a/b": 1}, ValueError, "'a/b'"),
        ({"a": {"": 1}}, ValueError, "in '/a'"),
        ({".": 1}, ValueError, "no name in HDF5"),
        ({"a\0b": 1}, ValueError, "no name in HDF5"),
        ({"a": "\udcff"}, ValueError, "dataset '/a': .*surrogates"),
        (_CYCLE, ValueError, "'/a/b' is a member of itself"),
        ({3: 1}, TypeError, "are str"),
        ([1, 2], TypeError, "tree is a mapping"),
    ],
)
def test_what_cannot_be_saved(mode, tmp_path, tree, error, text):
    """The error names the place, and there is no file."""

    async def body(context_vars):
        await h5_save(tmp_path / "a.h5", tree, context_vars=context_vars)

    with pytest.raises(error, match=text):
        mode.run(body)
    assert os.listdir(tmp_path) == []


def test_a_group_within_itself(mode, tmp_path):
    """A loop of links is an error, not an endless dict."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["g/again"] = file.create_group("g")

    async def body(context_vars):
        await h5_load(tmp_path / "a.h5", context_vars=context_vars)

    with pytest.raises(ValueError, match="member of itself"):
        mode.run(body)


def test_item():
    """An item shows what it holds."""
    assert repr(H5Item(3, {"unit": "m"}, compression="gzip")) == (
        "H5Item(3, {'unit': 'm'}, compression='gzip')"
    )
