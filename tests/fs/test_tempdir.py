"""Temporary folders."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import stat
import tempfile
import threading

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import mkdtemp, write_text


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Let temporary folders be created in this test's own folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_signature():
    """Reference, mkdtemp(context_vars: dict = {})."""
    [parameter] = inspect.signature(mkdtemp).parameters.values()
    assert (parameter.name, parameter.default) == ("context_vars", {})


def test_enter_value_is_a_path(mode, tmp_path):
    """Reference, mkdtemp, Returns: the enter-value is a string containing the dirpath."""

    async def body(context_vars):
        async with mkdtemp(context_vars=context_vars) as tmpdir:
            assert type(tmpdir) is str
            assert os.path.dirname(tmpdir) == str(tmp_path)
            assert stat.S_IMODE(os.stat(tmpdir).st_mode) == 0o700
            await write_text(f"{tmpdir}/a/b", "x", context_vars=context_vars, make_dirs=True)
            os.symlink("/", f"{tmpdir}/root")

    mode.run(body)
    assert not os.listdir(tmp_path)


def test_two_folders_differ(mode):
    """Two folders open at once are two."""

    async def body(context_vars):
        async with mkdtemp(context_vars) as one, mkdtemp(context_vars) as two:
            assert one != two

    mode.run(body)


def test_removed_on_error(mode, tmp_path):
    """An error in the block goes through, and the folder is removed."""

    async def body(context_vars):
        async with mkdtemp(context_vars):
            raise LookupError("from the block")

    with pytest.raises(LookupError, match="from the block"):
        mode.run(body)
    assert not os.listdir(tmp_path)


def test_already_removed(mode, tmp_path):
    """A folder that is gone already is no error."""

    async def body(context_vars):
        async with mkdtemp(context_vars) as tmpdir:
            shutil.rmtree(tmpdir)

    mode.run(body)


READ_ONLY = """
import asyncio, os, sys, tempfile
from mt.aio.core import srun
from mt.aio.fs import mkdtemp

tempfile.tempdir = sys.argv[1]

async def body(context_vars):
    async with mkdtemp(context_vars) as tmpdir:
        os.makedirs(f"{tmpdir}/a/b")
        open(f"{tmpdir}/a/b/file", "w").close()
        os.chmod(f"{tmpdir}/a/b/file", 0o400)
        os.symlink(sys.argv[3], f"{tmpdir}/a/b/link")
        os.symlink(os.path.dirname(sys.argv[3]), f"{tmpdir}/a/link")
        os.chmod(f"{tmpdir}/a/b", 0o500)
        os.chmod(f"{tmpdir}/a", 0o500)

def run():
    if sys.argv[2] == "sync":
        srun(body)
    else:
        asyncio.run(body({"async": True}))

if os.geteuid() == 0:
    run()  # imports what another user may not be able to read
    os.setuid(65534)  # root may remove anything
run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sync", "async"])
def test_read_only_content(run_python, public_folder, name):
    """Read-only files and folders inside are removed as well."""
    outside = public_folder / "outside" / "file"
    outside.parent.mkdir()
    outside.touch()
    if os.geteuid() == 0:
        for path in (outside, outside.parent):
            os.chown(path, 65534, 65534)  # as whom the program removes the folder
    outside.chmod(0o644)
    outside.parent.chmod(0o755)
    (public_folder / "tmp").mkdir(mode=0o777)
    (public_folder / "tmp").chmod(0o777)
    run_python(READ_ONLY, public_folder / "tmp", name, outside)
    assert not os.listdir(public_folder / "tmp")
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
    assert stat.S_IMODE(outside.parent.stat().st_mode) == 0o755


def test_what_cannot_be_removed(mode, monkeypatch, tmp_path):
    """A folder that the system does not let go is the system's error."""

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    async def body(context_vars):
        async with mkdtemp(context_vars):
            monkeypatch.setattr(shutil, "rmtree", refuse)

    with pytest.raises(PermissionError):
        mode.run(body)


def test_content_that_vanishes_meanwhile(mode, monkeypatch, tmp_path):
    """That somebody else removes something at the same time is no error."""
    real_rmtree = shutil.rmtree

    def rmtree(path):
        monkeypatch.setattr(shutil, "rmtree", real_rmtree)
        raise FileNotFoundError(2, "No such file", f"{path}/gone")

    async def body(context_vars):
        async with mkdtemp(context_vars):
            monkeypatch.setattr(shutil, "rmtree", rmtree)

    mode.run(body)
    assert not os.listdir(tmp_path)


def test_coroutine_that_is_thrown_away(async_mode, tmp_path):
    """A coroutine that is closed instead of finished cannot await: the folder is removed here."""

    async def body(context_vars):
        folder = mkdtemp(context_vars)
        await folder.__aenter__()
        with pytest.raises(StopIteration):
            folder.__aexit__(GeneratorExit, GeneratorExit(), None).send(None)
        assert not os.listdir(tmp_path)

    async_mode.run(body)


def test_context_vars_are_needed():
    """Reference, mkdtemp, context_vars: it must include context_vars['async']."""
    with pytest.raises(MissingModeError):
        mkdtemp().__aenter__().send(None)


def test_cancelled_in_the_block(async_mode, tmp_path):
    """A cancellation in the block removes the folder and goes on."""

    async def body(context_vars):
        async def hold():
            async with mkdtemp(context_vars):
                entered.set()
                await asyncio.sleep(100)

        entered = asyncio.Event()
        task = asyncio.create_task(hold())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not os.listdir(tmp_path)

    async_mode.run(body)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_cancelled_at_any_turn(async_mode, tmp_path, times):
    """Cancelled, once or repeatedly, after k turns of the loop, it leaves no folder."""

    async def use(context_vars):
        async with mkdtemp(context_vars):
            await asyncio.sleep(0)

    async def body(context_vars):
        for turns in range(40):
            task = asyncio.create_task(use(context_vars))
            for _ in range(turns):
                await asyncio.sleep(0)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([task])
            assert not os.listdir(tmp_path)

    async_mode.run(body)


def test_removal_that_is_withdrawn_is_issued_again(async_mode, tmp_path):
    """A cancellation that meets the removal in the queue does not keep it from happening."""
    from mt.aio.core.lowlevel import offload

    async def body(context_vars):
        gate = threading.Event()

        async def use():
            async with mkdtemp(context_vars):
                entered.set()
                await leave.wait()

        entered, leave = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(use())
        await entered.wait()
        blockers = [
            asyncio.create_task(offload(gate.wait, 20, context_vars=context_vars))
            for _ in range(40)  # more than there are threads
        ]
        await asyncio.sleep(0)
        leave.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not os.listdir(tmp_path)
        await asyncio.gather(*blockers)

    async_mode.run(body)
