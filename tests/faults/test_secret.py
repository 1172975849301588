"""A secret is at no instant readable by others, however slow the writing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look as another user"),
]

# Opens whatever it finds, over and over, as a user without rights.
THIEF = """
    import os, sys
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    folder = sys.argv[1]
    seen, looks = set(), 0
    print(flush=True)
    while not os.path.exists(folder + "/../stop"):
        looks += 1
        for name in os.listdir(folder):
            seen.add(name.rpartition(".")[2])
            try:
                os.close(os.open(f"{folder}/{name}", os.O_RDONLY))
            except PermissionError:
                continue
            except FileNotFoundError:
                continue
            print("read", name)
    print("seen", *sorted(seen), flush=True)
"""


@pytest.fixture
def open_folder():
    """A folder that everybody may enter and list, below which nothing is hidden."""
    parent = Path(tempfile.mkdtemp())
    folder = parent / "folder"
    folder.mkdir()
    for path in (parent, folder):
        path.chmod(0o755)
    yield folder
    shutil.rmtree(parent)


@pytest.mark.parametrize("existing", [True, False], ids=["existing", "new"])
@pytest.mark.parametrize("job", ["write_text", "write_binary delayed"])
def test_secret(server, trace_log, open_folder, jobs, job, mode_name, existing):
    """Another user who tries all the time, while each call takes long, opens no file of it.

    `write_text` is told the mode 0600; `write_binary` keeps that of the existing file.
    """
    if job != "write_text" and not existing:
        pytest.skip("the umask decides on the mode of a new file")
    path = open_folder / "file"
    if existing:
        path.touch(0o600)
    command = [sys.executable, "-I", "-S", "-c", textwrap.dedent(THIEF), str(open_folder)]
    thief = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert thief.stdout.readline() == "\n"
    calls = "openat,write,fchmod,fsync,close,rename"
    slow = f"inject={calls}:delay_enter=10000:delay_exit=10000"
    order = {"job": job, "path": str(path), "mode": mode_name, "durability": "full"}
    umask = os.umask(0)
    try:
        assert server.traced(trace_log, "-e", f"trace={calls}", "-e", slow, **order) == 0
    finally:
        os.umask(umask)
        (open_folder.parent / "stop").touch()
    output = thief.communicate()[0].split("\n")
    assert output == ["seen file mttmp", ""]
    assert path.stat().st_mode & 0o777 == 0o600
    assert jobs.read(job, str(path)) == "new"


def test_the_thief_is_able(open_folder):
    """The same thief does read a file that others may read, so it would have told."""
    (open_folder / "file").touch(0o644)
    command = [sys.executable, "-I", "-S", "-c", textwrap.dedent(THIEF), str(open_folder)]
    thief = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert thief.stdout.readline() == "\n"
    assert thief.stdout.readline() == "read file\n"
    (open_folder.parent / "stop").touch()
    thief.communicate()
