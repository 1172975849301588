"""Files of numpy arrays."""

from __future__ import annotations

import inspect
import zipfile

import pytest

from mt.aio.fs import npz_load, npz_save

np = pytest.importorskip("numpy")


def test_signature():
    """npz_load takes what json_load takes, and passes keywords on."""
    names = list(inspect.signature(npz_load).parameters)
    assert names == ["filepath", "context_vars", "kwargs"]


@pytest.mark.parametrize("name", ["x", "file", "args", "allow_pickle", "a/b", "é", ""])
def test_round_trip(mode, tmp_path, name):
    """An array of any name comes back as it was."""
    arr = np.arange(24.0).reshape(2, 3, 4).T
    written = mode.run(npz_save, tmp_path / "file", {name: arr, "zero": 5})
    assert written == (tmp_path / "file").stat().st_size
    loaded = mode.run(npz_load, tmp_path / "file")
    assert type(loaded) is dict
    assert list(loaded) == [name, "zero"]
    assert loaded[name].dtype == arr.dtype
    assert (loaded[name] == arr).all()
    assert loaded["zero"].shape == ()


def test_numpy_reads_it(mode, tmp_path):
    """The file is what numpy.savez_compressed makes: numpy reads it, and it is compressed."""
    mode.run(npz_save, tmp_path / "file", {"x": np.zeros(100_000)})
    with np.load(tmp_path / "file") as content:
        assert not content["x"].any()
    with zipfile.ZipFile(tmp_path / "file") as archive:
        assert [entry.compress_type for entry in archive.infolist()] == [zipfile.ZIP_DEFLATED]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_it_reads_numpys(mode, tmp_path, save):
    """What numpy saved is loaded."""
    save(tmp_path / "file.npz", np.arange(3), y=np.ones(2))
    loaded = mode.run(npz_load, tmp_path / "file.npz")
    assert {name: arr.tolist() for name, arr in loaded.items()} == {
        "arr_0": [0, 1, 2],
        "y": [1.0, 1.0],
    }


def test_nothing_to_save(mode, tmp_path):
    """No array is a file as well."""
    mode.run(npz_save, tmp_path / "file", {})
    assert mode.run(npz_load, tmp_path / "file") == {}


def test_keywords_go_to_numpy_load(mode, tmp_path):
    """Pickled objects are refused unless allow_pickle=True is passed on."""
    mode.run(npz_save, tmp_path / "file", {"x": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        mode.run(npz_load, tmp_path / "file")
    loaded = mode.run(npz_load, tmp_path / "file", allow_pickle=True)
    assert loaded["x"][0] == {"a": 1}


def test_single_array(mode, tmp_path):
    """A file of one nameless array is refused, and closed (the leak check sees it)."""
    np.save(tmp_path / "file.npy", np.arange(3))
    with pytest.raises(ValueError, match=r"is no \.npz file"):
        mode.run(npz_load, tmp_path / "file.npy")


def test_what_is_no_npz(mode, tmp_path):
    """Garbage is a ValueError, a missing file a FileNotFoundError."""
    (tmp_path / "file").write_bytes(b"garbage")
    with pytest.raises(ValueError):
        mode.run(npz_load, tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        mode.run(npz_load, tmp_path / "missing")


@pytest.mark.parametrize("obj", [[1], np.zeros(2), None, {1: 2}], ids=repr)
def test_what_is_no_mapping(mode, tmp_path, obj):
    """Anything but a mapping of names is a TypeError at the door."""
    with pytest.raises(TypeError, match="mapping of names"):
        mode.run(npz_save, tmp_path / "file", obj)


WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None  # as if it were not installed
sys.path_importer_cache.clear()
import importlib.abc

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

del sys.modules["numpy"]
sys.meta_path.insert(0, Absent())
from mt.aio.core import srun
from mt.aio.fs import npz_load, npz_save
for func, *args in ((npz_save, sys.argv[1], {}), (npz_load, sys.argv[1])):
    try:
        srun(func, *args)
    except ModuleNotFoundError as exc:
        print(exc.name, "|", exc)
"""


def test_without_numpy(run_python, tmp_path):
    """Without numpy the error says what to install."""
    path = tmp_path / "file"
    lines = run_python(WITHOUT_NUMPY, path).splitlines()
    assert lines == ['numpy | npz files need numpy: pip install "mt-aio-fs[npz]"'] * 2
