"""CreateFileH5: what it does not take, and contexts used in the wrong order."""

from __future__ import annotations

import os
import stat

import h5py
import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.h5 import CreateFileH5


def _content(path):
    with h5py.File(path, "r") as file:
        return {name: file[name][()].tolist() for name in file}


def test_folder_as_target(enter, tmp_path):
    """A folder is refused on entering, and is not touched."""
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        enter(lambda _: pytest.fail("entered"), tmp_path / "folder")
    assert os.listdir(tmp_path / "folder") == ["inner"]


def test_fifo_as_target(enter, tmp_path):
    """What is no regular file, a device or a FIFO, cannot be replaced by an HDF5 file."""
    os.mkfifo(tmp_path / "fifo")  # not /dev/null, which a mistake of ours would cost the machine
    with pytest.raises(OSError, match="not a regular file"):
        enter(lambda _: pytest.fail("entered"), tmp_path / "fifo")
    assert stat.S_ISFIFO(os.stat(tmp_path / "fifo").st_mode)


def test_a_file_as_folder(enter, tmp_path):
    """The system's error about the path comes through, and nothing is left."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        enter(lambda _: pytest.fail("entered"), tmp_path / "file" / "x.h5")


@pytest.mark.parametrize("filepath", [b"x.h5", 3, None])
def test_no_path(filepath):
    """Anything but a str or a path object is a TypeError at the door."""
    with pytest.raises(TypeError, match="filepath"):
        CreateFileH5(filepath)


def test_no_file_mode(tmp_path):
    """A file mode that is none is refused at the door."""
    with pytest.raises(TypeError, match="file_mode"):
        CreateFileH5(tmp_path / "x.h5", "664")
    with pytest.raises(ValueError, match="file_mode"):
        CreateFileH5(tmp_path / "x.h5", -1)


def test_unknown_durability(tmp_path):
    """A durability that is none of the three is refused at the door."""
    with pytest.raises(ValueError, match="durability"):
        CreateFileH5(tmp_path / "x.h5", durability="often")
    with pytest.raises(ValueError, match="durability"):
        CreateFileH5(tmp_path / "x.h5", context_vars={"durability": "often"})


def test_missing_mode(tmp_path, mode):
    """`async with` needs to know the mode; nothing is left behind without it."""

    async def body(context_vars):
        with pytest.raises(MissingModeError):
            await CreateFileH5(tmp_path / "x.h5").__aenter__()

    mode.run(body)
    assert os.listdir(tmp_path) == []


def test_enter_twice(enter, tmp_path):
    """A second enter while the context is open is refused and does no harm."""

    def body(context):
        with pytest.raises(RuntimeError, match="open already"):
            context.__enter__()
        context.handle["x"] = [1]

    enter(body, tmp_path / "file.h5")
    assert _content(tmp_path / "file.h5") == {"x": [1]}


def test_exit_without_enter(tmp_path):
    """Leaving a context that is not open is refused."""
    with pytest.raises(RuntimeError, match="not open"):
        CreateFileH5(tmp_path / "file.h5").__exit__(None, None, None)
