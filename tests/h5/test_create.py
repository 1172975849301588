"""CreateFileH5: what a user of the context sees."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import stat
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest

from mt.aio.core.lowlevel import MissingModeError
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


@pytest.fixture(params=["with", "async with"])
def enter(request, mode):
    """Run a function inside the context: by `with` or `async with`, in every mode."""

    def enter_it(body, *args, **kwargs):
        async def statement(context_vars):
            if request.param == "with":
                with CreateFileH5(*args, **kwargs) as context:
                    body(context)
            else:
                async with CreateFileH5(*args, context_vars=context_vars, **kwargs) as context:
                    body(context)
            return context

        return mode.run(statement)

    return enter_it


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


def test_objects_left_open(enter, tmp_path):
    """Datasets, groups and attributes that the user holds on to are closed with the file."""
    path = tmp_path / "file.h5"
    kept = []

    def body(context):
        kept.append(context.handle.create_dataset("x", data=[1, 2, 3]))
        kept.append(context.handle.create_group("g"))
        kept.append(kept[1].create_dataset("y", data=[4]))

    enter(body, path)
    assert not any(kept)  # all invalid now
    with h5py.File(path, "r+") as file:
        assert file["g/y"][:].tolist() == [4]


def test_handle_closed_by_the_user(enter, tmp_path):
    """A handle that the user has closed is published all the same."""

    def body(context):
        context.handle["x"] = [1]
        context.handle.close()

    enter(body, tmp_path / "file.h5")
    assert _content(tmp_path / "file.h5") == {"x": [1]}


def test_handle_closed_by_the_user_and_an_error(enter, tmp_path):
    """A handle that the user has closed is removed on an error all the same."""

    def body(context):
        context.handle.close()
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        enter(body, tmp_path / "file.h5")
    assert os.listdir(tmp_path) == []


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


@pytest.mark.parametrize(
    ("durability", "expected"),
    [
        ("none", ["replace"]),
        ("atomic", ["file", "replace"]),
        ("full", ["file", "replace", "folder"]),
    ],
)
def test_durability(enter, tmp_path, monkeypatch, durability, expected):
    """The file is flushed before the renaming, and its folder after it, as asked for."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(fd):
        calls.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    def spy_replace(*args):
        calls.append("replace")
        replace(*args)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    enter(_write_new, tmp_path / "x.h5", durability=durability)
    assert calls == expected


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


def test_enter_again(mode, tmp_path):
    """After it was left, by whatever way, the same object may be entered again."""
    path = tmp_path / "file.h5"

    async def body(context_vars):
        context = CreateFileH5(path, context_vars=context_vars)
        names = set()
        for number in range(3):
            with contextlib.suppress(LookupError):
                async with context:
                    names.add(context.tmp_filepath)
                    context.handle["x"] = [number]
                    if number == 1:
                        raise LookupError
            assert _content(path) == {"x": [2 if number == 2 else 0]}
        assert len(names) == 3

    mode.run(body)
    assert _content(path) == {"x": [2]}


def test_two_writers(mode, tmp_path):
    """Two contexts with one target: the last to end wins, and it is whole."""
    path = tmp_path / "file.h5"

    async def body(context_vars):
        async with CreateFileH5(path, context_vars=context_vars) as first:
            async with CreateFileH5(path, context_vars=context_vars) as second:
                second.handle["second"] = [2]
                first.handle["first"] = [1]
            assert _content(path) == {"second": [2]}

    mode.run(body)
    assert _content(path) == {"first": [1]}


def test_the_working_folder_changes_meanwhile(enter, tmp_path, monkeypatch):
    """A relative path means what it meant on entering."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def body(context):
        os.chdir(tmp_path / "elsewhere")
        context.handle["x"] = [1]

    enter(body, "file.h5")
    assert _content(tmp_path / "file.h5") == {"x": [1]}


def test_long_name(enter, tmp_path):
    """A name of 255 bytes is as good as any."""
    path = tmp_path / ("n" * 252 + ".h5")
    enter(_write_new, path)
    assert _content(path) == {"new": [3]}


def test_logger(enter, tmp_path, caplog):
    """Reference, logger: for debugging purposes."""
    logger = logging.getLogger("h5")
    with caplog.at_level(logging.DEBUG, "h5"):
        enter(_write_new, tmp_path / "file.h5", logger=logger)
        with pytest.raises(ZeroDivisionError):
            enter(lambda _: 1 / 0, tmp_path / "file.h5", logger=logger)
    lines = [record.getMessage() for record in caplog.records if record.name == "h5"]
    assert [line.split(": ")[1].split()[0] for line in lines] == [
        "being",
        "written",
        "being",
        "left",
    ]
    assert all(str(tmp_path / "file.h5") in line for line in lines)


def test_run(mode, tmp_path):
    """`run` runs HDF5 code off the loop, in order, and returns its result."""
    threads = []

    def note():
        threads.append(threading.get_ident())

    async def body(context_vars):
        async with CreateFileH5(tmp_path / "x.h5", context_vars=context_vars) as context:
            dataset = await context.run(context.handle.create_dataset, "x", data=[1, 2, 3])
            assert dataset.shape == (3,)
            await context.run(note)
            with pytest.raises(ZeroDivisionError):
                await context.run(lambda: 1 / 0)
        with pytest.raises(RuntimeError, match="not open"):
            await context.run(note)

    mode.run(body)
    assert _content(tmp_path / "x.h5") == {"x": [1, 2, 3]}
    assert (threads[0] == threading.get_ident()) is not mode.is_async


def test_import_is_light():
    """Importing the piece imports neither h5py, nor numpy, nor asyncio."""
    code = "import sys, mt.aio.h5; print({'h5py', 'numpy', 'asyncio'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout.strip() == b"set()"
