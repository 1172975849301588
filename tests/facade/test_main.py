"""`python -m mt.aio`: what it says of pieces, machine, folders and a clash with mtbase."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
from pathlib import Path

import pytest

import mt.aio

SOURCE = Path(mt.aio.__file__).with_name("__main__.py")
THEIRS = "# the facade that mtbase ships\n"
REINSTALL = "pip install --force-reinstall --no-deps"


@pytest.fixture
def site(layout):
    """An installation of the facade and core, by their records, with `python -m mt.aio`."""
    layout.install("mt-aio", "__main__.py")
    record(layout, "mt-aio", (layout.aio / "__init__.py").read_bytes())
    record(layout, "mt-aio-core")
    return layout


def record(layout, name, facade=None, version="1.2.3"):
    """Write what an installer writes about a distribution; `facade` is its mt/aio/__init__.py."""
    info = layout.aio.parents[1] / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
    if facade is not None:
        digest = base64.urlsafe_b64encode(hashlib.sha256(facade).digest()).rstrip(b"=").decode()
        (info / "RECORD").write_text(f"mt/aio/__init__.py,sha256={digest},{len(facade)}\n")


def report(layout, *folders):
    """Run the report there; give its status and its lines."""
    program = f"""
import runpy
sys.argv[1:] = {[str(folder) for folder in folders]!r}
try:
    runpy.run_module("mt.aio", run_name="__main__", alter_sys=True)
except SystemExit as exc:
    print("status", exc.code)
"""
    lines = layout.run(program).splitlines()
    return int(lines.pop().removeprefix("status ")), lines


def test_all_is_well(site):
    """The facade's own file, core of the same version, no mtbase: status 0."""
    status, lines = report(site)
    assert status == 0
    assert f"  {site.aio / '__init__.py'} is mt-aio's" in lines
    assert "  mtbase is not installed" in lines
    assert "  mt-aio-core     1.2.3" in lines
    assert not [line for line in lines if line.startswith("!")]


def test_absent_piece(site):
    """A piece that is not installed is no fault; the report says how to get it."""
    _, lines = report(site)
    assert '  mt-aio-h5       not installed: pip install "mt-aio[h5]"' in lines


def test_piece_of_another_patch_release(site):
    """Any mix of patch releases of one minor version is in order."""
    record(site, "mt-aio-fs", version="1.2.9")
    status, lines = report(site)
    assert status == 0
    assert "  mt-aio-fs       1.2.9" in lines


def test_piece_of_another_minor_version(site):
    """A piece that does not fit the facade is a fault, with its cure."""
    record(site, "mt-aio-fs", version="1.1.0")
    status, lines = report(site)
    assert status == 1
    cure = 'pip install -U "mt-aio[fs]"'
    assert f"! mt-aio-fs       1.1.0, not made for mt-aio 1.2.3: {cure}" in lines


def test_mtbase_has_replaced_the_facade(site):
    """Where mtbase was installed last, its file is in effect: a fault, with both cures."""
    (site.aio / "__init__.py").write_text(THEIRS)
    record(site, "mtbase", THEIRS.encode(), "4.34.2")
    status, lines = report(site)
    assert status == 1
    file = site.aio / "__init__.py"
    assert f"! {file} is that of mtbase 4.34.2, installed over mt-aio's" in lines
    assert f"    to have mt-aio's: {REINSTALL} mt-aio" in lines
    assert f"      pip uninstall mt-aio; {REINSTALL} mtbase" in lines


def test_mt_aio_has_replaced_that_of_mtbase(site):
    """Where mt-aio was installed last, all is well for now; the report says what to expect."""
    record(site, "mtbase", THEIRS.encode(), "4.34.2")
    status, lines = report(site)
    assert status == 0
    assert f"  {site.aio / '__init__.py'} is mt-aio's" in lines
    assert "  mtbase 4.34.2 is installed as well; its own modules work with mt-aio's file" in lines
    assert f"      {REINSTALL} mt-aio" in lines


def test_an_uninstall_took_the_facade(site):
    """Without mt/aio/__init__.py, as mtbase leaves it, the report works and names the cure."""
    (site.aio / "__init__.py").unlink()
    status, lines = report(site)
    assert status == 1
    missing = f"! {site.aio / '__init__.py'} is missing: `import mt.aio` gives no names"
    at = lines.index(missing)
    assert lines[at + 1] == f"    to have it back: {REINSTALL} mt-aio"


def test_an_edited_facade(site):
    """A file that no distribution has on record is a fault."""
    with (site.aio / "__init__.py").open("a") as file:
        file.write("# edited\n")
    status, lines = report(site)
    assert status == 1
    assert [line for line in lines if "neither mt-aio's nor mtbase's" in line]


def test_the_system_s_facilities(site):
    """Each facility is tried, and each has its line."""
    _, lines = report(site)
    start = lines.index("Loops and processes") + 1
    said = dict(line.split(None, 1) for line in lines[start : lines.index("Folders")])
    for name, function in (("pidfd", "pidfd_open"), ("memfd", "memfd_create")):
        assert said[name].startswith(("yes", "no:") if hasattr(os, function) else "no:")
    assert said["add_reader"].startswith("yes")


@pytest.mark.parametrize("left", [False, True])
def test_folder_without_the_files_piece(site, tmp_path, left):
    """Without mt-aio-fs nothing is tried, and that is no fault; nor is a folder it has left."""
    if left:
        (site.aio / "fs" / "__pycache__").mkdir(parents=True)
    status, lines = report(site, tmp_path)
    assert status == 0
    assert "    not tried, as mt.aio.fs is not installed" in lines


@pytest.fixture
def with_files(site):
    """The installation with the files piece."""
    site.install("mt-aio-fs", "fs")
    record(site, "mt-aio-fs")
    return site


def test_folder_that_files_are_safe_in(with_files, tmp_path):
    """Each durability is tried in each folder that is named, and nothing is left there."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    status, lines = report(with_files, *folders)
    assert status == 0
    assert lines.count("    durability 'full'    accepted") == 2
    for folder in folders:
        assert [line for line in lines if line.startswith(f"  {folder}  (")]
        assert not list(folder.iterdir())


def test_folder_that_is_not_there(with_files, tmp_path):
    """A folder that cannot be written to is a fault."""
    status, lines = report(with_files, tmp_path / "absent")
    assert status == 1
    assert [line for line in lines if line.startswith("!   cannot be written to: ")]


@pytest.fixture
def main():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("mt_aio_main", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("kind", "words"),
    [("tmpfs", "kept in memory"), ("nfs4", "another machine"), ("fuse.sshfs", "another machine")],
)
def test_folder_on_a_file_system_that_promises_less(main, monkeypatch, tmp_path, kind, words):
    """The report says so where a flush does not mean that a file survives a power cut."""
    monkeypatch.setattr(main, "file_system", lambda path: kind)
    assert [line for line in main.folder(str(tmp_path)) if words in line.text]


def test_folder_that_refuses_a_flush(main, monkeypatch, tmp_path):
    """A durability that the file system refuses is a fault."""

    def refuse(fd):
        raise OSError(22, "no flush here")

    monkeypatch.setattr("mt.aio.fs._durability.os.fsync", refuse)
    said = {
        line.text.split("'")[1]: line.bad for line in main.folder(str(tmp_path)) if "'" in line.text
    }
    assert said == {"none": False, "atomic": True, "full": True}


def test_facilities_that_are_not_there(main):
    """What the system lacks or refuses is said with its reason."""

    def lacks():
        raise AttributeError

    def refuses():
        raise PermissionError(1, "sandboxed")

    def cannot():
        raise NotImplementedError

    assert main._answer(lacks) == "no: this system or Python has none"
    assert main._answer(refuses) == "no: [Errno 1] sandboxed"
    assert main._answer(cannot) == "no: NotImplementedError"


def test_help_names_the_argument(main, capsys):
    """`--help` tells what the program does and what it takes."""
    with pytest.raises(SystemExit) as ended:
        main.main(["--help"])
    assert ended.value.code == 0
    assert "python -m mt.aio" in capsys.readouterr().out


def test_the_report_of_this_environment(main, capsys, tmp_path):
    """Where the tests run, all pieces are there and a folder keeps what is written."""
    assert main.main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for piece in main.PIECES:
        assert f"  mt-aio-{piece} " in printed
    assert f"  {tmp_path}  (" in printed


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        (None, "is missing"),
        ("mtbase", "installed over mt-aio's"),
        ("unknown", "neither mt-aio's nor mtbase's"),
    ],
)
def test_a_facade_that_needs_mending(main, monkeypatch, owner, words):
    """Each fault of the facade's file is marked, and followed by a cure."""
    monkeypatch.setattr(main, "owner_of", lambda file: owner)
    fault, cure, *_ = main.facade()
    assert fault.bad
    assert words in fault.text
    assert f"{REINSTALL} mt-aio" in cure.text


def test_versions_that_do_not_go_together(main, monkeypatch):
    """Absent core and a piece of another series are faults; an absent piece is none."""
    there = {"mt-aio": "1.2.3", "mt-aio-fs": "1.1.0", "mt-aio-proc": "1.2.0"}
    monkeypatch.setattr(main, "version_of", there.get)
    bad = {line.text.split()[0] for line in main.pieces() if line.bad}
    assert bad == {"mt-aio-core", "mt-aio-fs"}
    (fault,) = (line.text for line in main.pieces() if "not made for" in line.text)
    assert fault.endswith('pip install -U "mt-aio[fs,proc]"')


def test_the_cure_without_extras(main, monkeypatch):
    """Where no piece but core is installed, upgrading mt-aio is enough."""
    monkeypatch.setattr(main, "version_of", {"mt-aio": "2.0.0", "mt-aio-core": "1.0.0"}.get)
    (fault,) = (line.text for line in main.pieces() if line.bad)
    assert fault.endswith("pip install -U mt-aio")


def test_extras(site):
    """Each extra of a piece is named: as there, or with what is missing and the command."""
    record(site, "mt-aio-h5")
    record(site, "here")
    metadata = site.aio.parents[1] / "mt_aio_h5-1.2.3.dist-info" / "METADATA"
    with metadata.open("a") as file:
        file.write("Requires-Dist: here>=1; extra == 'plugins'\n")
        file.write(
            "Requires-Dist: nowhere[x]<3,>=1.7 ; python_version > '3' and extra == \"fast\"\n"
        )
        file.write("Requires-Dist: always>=1\n")
    status, lines = report(site)
    assert status == 0
    begin = lines.index("Extras of the pieces") + 1
    assert lines[begin : begin + 3] == [
        '  mt-aio-h5[fast]           without nowhere: pip install "mt-aio-h5[fast]"',
        "  mt-aio-h5[plugins]        there",
        "Used by the pieces",
    ]
