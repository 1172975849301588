"""The parts of `python -m mt.aio`'s report by themselves."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

import mt.aio

REINSTALL = "pip install --force-reinstall --no-deps"


@pytest.fixture
def main():
    """The module, imported under a name that does not run it."""
    path = Path(mt.aio.__file__).with_name("__main__.py")
    spec = importlib.util.spec_from_file_location("report_of_mt_aio", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    yield spec.loader.exec_module(module) or module
    del sys.modules[spec.name]


@pytest.fixture
def fs_is_absent(monkeypatch):
    """Have the import of mt.aio.fs fail."""
    for name in [name for name in sys.modules if name.startswith("mt.aio.fs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mt.aio.fs", None)


def test_every_piece_is_reported(main):
    """No piece of the checkout is missing from the report."""
    packages = Path(__file__).parents[2].glob("packages/mt-aio-*")
    assert sorted(main.PIECES) == sorted(path.name.removeprefix("mt-aio-") for path in packages)


def texts(lines):
    """What some lines say, and which of them are bad."""
    lines = list(lines)
    return [line.text for line in lines], [line.text for line in lines if line.bad]


def test_a_folder_where_nothing_can_be_tried(main, fs_is_absent, tmp_path):
    """Without mt-aio-fs a folder is named, and said not to have been tried; that is no fault."""
    (head, rest), bad = texts(main.folder(str(tmp_path)))
    assert head.startswith(f"{tmp_path}  (")
    assert rest == "  not tried, as mt.aio.fs is not installed"
    assert not bad


def test_a_folder_that_is_missing(main, tmp_path):
    """A folder in which nothing can be made is a fault, with the system's reason."""
    (head, rest), bad = texts(main.folder(str(tmp_path / "missing")))
    assert head.endswith("(file system unknown)")
    assert bad == [rest]
    assert "cannot be written to" in rest
    assert "No such file" in rest


def test_a_disk_needs_no_remark(main, tmp_path, monkeypatch):
    """Of a disk of this machine's own, the three lines are all there is to say."""
    monkeypatch.setattr(main, "file_system", lambda path: "ext4")
    lines, _ = texts(main.folder(str(tmp_path)))
    assert [line.split("'")[1] for line in lines[1:]] == ["none", "atomic", "full"]


def test_a_file_system_that_is_not_listed(main, tmp_path, monkeypatch):
    """A device that the system's list does not have is unknown."""
    monkeypatch.setattr(main.Path, "read_text", lambda self, **_: "22 1 255:255 / / rw - ext4 x rw")
    assert main.file_system(str(tmp_path)) is None
    device = os.stat(tmp_path).st_dev
    line = f"22 1 {os.major(device)}:{os.minor(device)} / / rw - ext9 x rw"
    monkeypatch.setattr(main.Path, "read_text", lambda self, **_: line)
    assert main.file_system(str(tmp_path)) == "ext9"


def recorded(monkeypatch, main, **checksums):
    """Have distributions with these checksums on record for the facade's file."""

    def files(name):
        if name.replace("-", "_") not in checksums:
            raise importlib.metadata.PackageNotFoundError(name)
        checksum = checksums[name.replace("-", "_")]
        file = PurePosixPath("mt/aio/__init__.py")
        found = SimpleNamespace(as_posix=file.as_posix, hash=SimpleNamespace(value=checksum))
        return [found] if checksum else None

    monkeypatch.setattr(main.importlib.metadata, "files", files)


CHECKSUM = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"  # SHA-256 of "abc"


@pytest.mark.parametrize(
    ("checksums", "owner"),
    [
        ({"mt_aio": CHECKSUM}, "mt-aio"),
        ({"mt_aio": CHECKSUM, "mtbase": "other"}, "mt-aio"),
        ({"mt_aio": "other", "mtbase": CHECKSUM}, "mtbase"),
        ({"mt_aio": "other", "mtbase": "other"}, "unknown"),
        ({"mt_aio": ""}, "mt-aio"),  # in place: no checksum is on record
        ({}, "mt-aio"),
    ],
)
def test_whose_file_it_is(main, tmp_path, monkeypatch, checksums, owner):
    """The owner is who has the file's checksum on record."""
    recorded(monkeypatch, main, **checksums)
    file = tmp_path / "__init__.py"
    file.write_bytes(b"abc")
    assert main.owner_of(file) == owner
    file.unlink()
    assert main.owner_of(file) is None


def test_mtbase_beside_our_file(main, monkeypatch):
    """What happens when mtbase goes is told beforehand, with the cure."""
    monkeypatch.setattr(main, "version_of", {"mtbase": "4.34.2"}.get)
    monkeypatch.setattr(main, "owner_of", lambda file: "mt-aio")
    lines, bad = texts(main.facade())
    assert lines[0].endswith("is mt-aio's")
    assert lines[1].startswith("mtbase 4.34.2 is installed as well")
    assert lines[-1].strip() == f"{REINSTALL} mt-aio"
    assert not bad


def test_a_machine_without_facilities(main, monkeypatch):
    """A loop that cannot watch descriptors, and a system without the calls: all said to be so."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.delattr(os, "memfd_create", raising=False)

    class Loop:
        def add_reader(self, fd, callback):
            raise NotImplementedError

        def close(self):
            pass

    monkeypatch.setattr(main.asyncio, "new_event_loop", Loop)
    lines, bad = texts(main.facilities())
    assert [line.split("no: ")[1].split("  (")[0] for line in lines[1:]] == [
        "NotImplementedError",
        *["this system or Python has none"] * 2,
    ]
    assert not bad


def test_the_status(main, monkeypatch, capsys):
    """One bad line of any section makes the status 1, and is marked."""
    monkeypatch.setattr(main, "folder", lambda path: [main.Line(f"about {path}", bad=True)])
    assert main.main(["x", "y"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2:] == ["! about x", "! about y"]
