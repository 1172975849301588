"""CreateFileH5: what becomes of the file, in both kinds of `with`."""

from __future__ import annotations

import inspect
import os
import stat

import h5py
import numpy as np
import pytest

from mt.aio.h5 import CreateFileH5


def _content(path):
    with h5py.File(path, "r") as file:
        return {name: file[name][()].tolist() for name in file}


def _write_old(path):
    with h5py.File(path, "w") as file:
        file["old"] = [1, 2]


def _write_new(context):
    context.handle["new"] = [3]


def _mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_signature():
    """Reference, CreateFileH5: names, order and defaults of the arguments."""
    parameters = list(inspect.signature(CreateFileH5).parameters.values())
    assert [(p.name, p.default) for p in parameters[:4]] == [
        ("filepath", inspect.Parameter.empty),
        ("file_mode", 0o664),
        ("context_vars", {}),
        ("logger", None),
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[4:])


def test_create(enter, tmp_path):
    """Reference, CreateFileH5: once the user exits, the file has the given name."""
    path = tmp_path / "file.h5"

    def body(context):
        assert not path.exists()
        context.handle.create_dataset("x", data=np.arange(5), compression="gzip")

    enter(body, path)
    assert _content(path) == {"x": [0, 1, 2, 3, 4]}
    assert os.listdir(tmp_path) == ["file.h5"]


def test_attributes(enter, tmp_path):
    """Reference, Attributes: tmp_filepath is a str, handle an h5py.File, of one file."""

    def body(context):
        assert type(context.tmp_filepath) is str
        assert context.tmp_filepath.endswith(".mttmp")
        assert os.path.dirname(context.tmp_filepath) == str(tmp_path)
        assert type(context.handle) is h5py.File
        assert context.handle.filename == context.tmp_filepath
        assert context.handle.mode == "r+"
        assert _mode_of(context.tmp_filepath) == 0o600

    context = enter(body, str(tmp_path / "file.h5"))
    assert not context.handle  # closed


def test_attributes_before_entering(tmp_path):
    """There is no handle yet, and the error says why."""
    context = CreateFileH5(tmp_path / "file.h5")
    with pytest.raises(AttributeError, match="'handle' before it is entered"):
        _ = context.handle
    with pytest.raises(AttributeError, match="'tmp_filepath' before it is entered"):
        _ = context.tmp_filepath
    with pytest.raises(AttributeError, match=r"no attribute 'hanlde'$"):
        _ = context.hanlde


def test_folders_are_created(enter, tmp_path):
    """Reference: any intermediate folder that does not exist is created; the umask holds."""
    old = os.umask(0o027)
    try:
        enter(_write_new, tmp_path / "a" / "b" / "file.h5")
    finally:
        os.umask(old)
    assert _content(tmp_path / "a" / "b" / "file.h5") == {"new": [3]}
    assert _mode_of(tmp_path / "a") == _mode_of(tmp_path / "a" / "b") == 0o750


@pytest.mark.parametrize("file_mode", [0o664, 0o600, 0o444])
def test_file_mode(enter, tmp_path, file_mode):
    """Reference, file_mode: the file is chmodded, whatever the umask."""
    enter(_write_new, tmp_path / "file.h5", file_mode)
    assert _mode_of(tmp_path / "file.h5") == file_mode


def test_file_mode_default(enter, tmp_path):
    """Reference, file_mode: 436, that is 0o664."""
    enter(_write_new, tmp_path / "file.h5")
    assert _mode_of(tmp_path / "file.h5") == 436


def test_file_mode_none(enter, tmp_path):
    """Reference, file_mode: None sets no mode: an existing file keeps its own."""
    path = tmp_path / "file.h5"
    _write_old(path)
    path.chmod(0o640)
    enter(_write_new, path, None)
    assert _mode_of(path) == 0o640


def test_replace(enter, tmp_path):
    """An existing file is replaced; a reader that has it open keeps its content."""
    path = tmp_path / "file.h5"
    _write_old(path)
    with h5py.File(path, "r") as reader:
        enter(_write_new, path)
        assert reader["old"][:].tolist() == [1, 2]
    assert _content(path) == {"new": [3]}


def test_link(enter, tmp_path):
    """A symbolic link stays; the file that it leads to is replaced."""
    path, link = tmp_path / "file.h5", tmp_path / "link.h5"
    _write_old(path)
    link.symlink_to(path)
    enter(_write_new, link)
    assert link.is_symlink()
    assert _content(path) == {"new": [3]}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_error_in_the_body(enter, tmp_path, kind):
    """On an exception the temporary file goes, the target stays, the exception passes."""
    path = tmp_path / "file.h5"
    _write_old(path)

    def body(context):
        context.handle["new"] = np.zeros(100_000)
        raise kind("x")

    with pytest.raises(kind, match="x"):
        enter(body, path)
    assert _content(path) == {"old": [1, 2]}
    assert os.listdir(tmp_path) == ["file.h5"]


def test_long_name(enter, tmp_path):
    """A name of 255 bytes is as good as any."""
    path = tmp_path / ("n" * 252 + ".h5")
    enter(_write_new, path)
    assert _content(path) == {"new": [3]}
