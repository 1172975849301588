"""Replacing a file whole: names, modes, links, what stays untouched."""

from __future__ import annotations

import os
import re
import stat

import pytest

from mt.aio.fs import read_binary, write_binary
from mt.aio.fs.lowlevel import Replacement, resolve_target, write_all


def mode_of(path):
    """Give a file's permission bits."""
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def births(monkeypatch):
    """Record each temporary file at the instant of its creation: path, flags, mode on disk."""
    seen = []
    real_open = os.open

    def spy(path, flags, *args, **kwargs):
        fd = real_open(path, flags, *args, **kwargs)
        if str(path).endswith(".mttmp"):
            seen.append((path, flags, stat.S_IMODE(os.fstat(fd).st_mode)))
        return fd

    monkeypatch.setattr(os, "open", spy)
    return seen


def test_temporary_file_has_the_documented_extension(mode, writer, tmp_path, births):
    """Reference, Notes: the content is written to a file with '.mttmp' extension first."""
    func, content = writer
    mode.run(func, tmp_path / "file", content)
    [(path, flags, _)] = births
    assert re.fullmatch(
        rf"\.file\.{os.getpid()}(-[0-9a-f]+){{4}}-[0-9a-f]{{16}}\.mttmp", os.path.basename(path)
    )
    assert os.path.dirname(path) == str(tmp_path)
    for wanted in (os.O_CREAT, os.O_EXCL, os.O_NOFOLLOW, os.O_CLOEXEC):
        assert flags & wanted


def test_temporary_file_is_renamed(mode, tmp_path, monkeypatch):
    """Reference, Notes: it is written before the file is renamed to the right file."""
    renamed = []
    real_replace = os.replace

    def replace(source, target):
        with open(source, "rb") as file:
            renamed.append((source, target, file.read()))
        real_replace(source, target)

    monkeypatch.setattr(os, "replace", replace)
    mode.run(write_binary, tmp_path / "file", b"content")
    [(source, target, content)] = renamed
    assert source.endswith(".mttmp")
    assert (target, content) == (str(tmp_path / "file"), b"content")


def test_temporary_names_differ(mode, tmp_path, births):
    """No two temporary files have one name."""
    for _ in range(20):
        mode.run(write_binary, tmp_path / "file", b"")
    assert len({path for path, _, _ in births}) == 20


def test_file_mode(mode, writer, tmp_path, umask):
    """Reference, file_mode: the mode to be set, whatever the umask."""
    func, content = writer
    umask(0o077)
    for file_mode in (0o664, 0o600, 0o444, 0o755, 0o4711):
        mode.run(func, tmp_path / "file", content, file_mode)
        assert mode_of(tmp_path / "file") == file_mode


def test_file_mode_is_664_by_default(mode, writer, tmp_path):
    """Reference, file_mode = 436: that is 0o664."""
    func, content = writer
    mode.run(func, tmp_path / "file", content)
    assert mode_of(tmp_path / "file") == 0o664


def test_no_file_mode_leaves_a_new_file_to_the_umask(mode, tmp_path, umask):
    """Reference, file_mode: if None is given, no setting of file mode will happen."""
    umask(0o027)
    mode.run(write_binary, tmp_path / "file", b"", None)
    assert mode_of(tmp_path / "file") == 0o640
    assert umask(0o022) == 0o027


@pytest.mark.parametrize("file_mode", [0o600, 0o644, 0o751])
def test_no_file_mode_keeps_that_of_an_existing_file(mode, tmp_path, file_mode):
    """With None, the new content has the old one's mode."""
    path = tmp_path / "file"
    path.touch()
    path.chmod(file_mode)
    mode.run(write_binary, path, b"x", None)
    assert mode_of(path) == file_mode


def test_set_uid_is_not_carried_over(mode, tmp_path):
    """A set-uid bit does not pass to a content that another user may have written."""
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o4755)
    mode.run(write_binary, path, b"x", None)
    assert mode_of(path) == 0o755


@pytest.mark.parametrize("file_mode", [0o600, 0o664, None])
def test_unfinished_content_is_private(mode, tmp_path, births, umask, file_mode):
    """The temporary file is born with mode 0600 under any umask, also beside a private file."""
    umask(0)
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o600)
    mode.run(write_binary, path, b"secret", file_mode)
    assert [born for _, _, born in births] == [0o600]
    assert mode_of(path) == (file_mode or 0o600)


def test_mode_is_set_last(tmp_path, monkeypatch, umask):
    """Others can read the content only when it is complete: the mode is set after the writing."""
    umask(0)
    sizes = []
    real_fchmod = os.fchmod

    def fchmod(fd, file_mode):
        sizes.append((os.fstat(fd).st_size, stat.S_IMODE(os.fstat(fd).st_mode)))
        real_fchmod(fd, file_mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    with Replacement(resolve_target(str(tmp_path / "file")), 0o644) as new:
        write_all(new.fileno(), b"content")
        new.publish("none")
    assert sizes == [(7, 0o600)]


def test_link_is_followed(mode, tmp_path, births):
    """A symbolic link stays one; its file is replaced, from a temporary file in its folder."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"old")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("folder/file")
    mode.run(write_binary, tmp_path / "one", b"new")
    assert (tmp_path / "folder" / "file").read_bytes() == b"new"
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "two").is_symlink()
    assert os.path.dirname(births[0][0]) == str(tmp_path / "folder")


def test_link_to_nothing_yet(mode, tmp_path):
    """A symbolic link to a file yet to be made makes the file."""
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    with pytest.raises(FileNotFoundError):
        mode.run(write_binary, tmp_path / "link", b"new")
    mode.run(write_binary, tmp_path / "link", b"new", make_dirs=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"new"


def test_link_to_itself(mode, tmp_path):
    """A loop of links is the system's error, and stays."""
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="symbolic links"):
        mode.run(write_binary, tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()


def test_dots_after_a_link_are_the_systems(mode, tmp_path):
    """`link/../file` lies beside the folder that the link leads to."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/b")
    mode.run(write_binary, tmp_path / "link" / ".." / "file", b"x")
    assert (tmp_path / "a" / "file").read_bytes() == b"x"
    assert mode.run(read_binary, tmp_path / "link" / ".." / "file") == b"x"


def test_folder_is_refused_untouched(mode, writer, tmp_path):
    """A folder as target, itself or by a link, is an IsADirectoryError and stays as it is."""
    func, content = writer
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"x")
    (tmp_path / "folder-link").symlink_to("folder")
    for suffix in ("", "/", "/.", "/..", "-link"):
        with pytest.raises(IsADirectoryError, match="name a file in it"):
            mode.run(func, f"{folder}{suffix}", content)
    assert (folder / "file").read_bytes() == b"x"


def test_path_that_only_a_folder_can_have(mode, tmp_path):
    """A path that ends in a slash names no file, also if nothing is there."""
    with pytest.raises(IsADirectoryError):
        mode.run(write_binary, f"{tmp_path}/new/", b"x", make_dirs=True)
    assert not list(tmp_path.iterdir())


def test_other_hard_link_keeps_the_old_content(mode, tmp_path):
    """A file's other name keeps the old content."""
    (tmp_path / "file").write_bytes(b"old")
    os.link(tmp_path / "file", tmp_path / "other")
    mode.run(write_binary, tmp_path / "file", b"new")
    assert (tmp_path / "other").read_bytes() == b"old"


@pytest.mark.parametrize(
    "name", ["x" * 255, "é" * 127, "日" * 85, "x" + "\U0001f600" * 63], ids=range(1, 5)
)
def test_names_of_255_bytes(mode, tmp_path, name, births):
    """A name as long as the system allows can be written."""
    path = os.path.join(tmp_path, name)
    mode.run(write_binary, path, b"x")
    assert os.path.getsize(path) == 1
    assert len(os.fsencode(os.path.basename(births[0][0]))) <= 255


def test_long_surrogate_escaped_name(mode, tmp_path, births):
    """A long name that is no UTF-8 can be written."""
    path = os.path.join(tmp_path, os.fsdecode(b"\xff\xfe" * 127))
    try:
        open(path, "xb").close()
    except OSError:
        pytest.skip("this file system refuses such names")
    mode.run(write_binary, path, b"x")
    assert os.path.getsize(path) == 1
    assert len(os.fsencode(os.path.basename(births[0][0]))) <= 255


def test_name_that_is_too_long(mode, tmp_path):
    """A name that the system refuses is the system's error, and nothing is left."""
    with pytest.raises(OSError, match="too long"):
        mode.run(write_binary, tmp_path / ("x" * 256), b"x")
    assert not list(tmp_path.iterdir())
