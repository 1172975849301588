"""read_many: many files, many at a hop."""

from __future__ import annotations

import pytest

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.fs import read_many


async def _all(paths, *args, context_vars):
    return [content async for content in read_many(paths, *args, context_vars=context_vars)]


@pytest.fixture
def files(tmp_path):
    """400 small files."""
    paths = [tmp_path / f"{number:03}" for number in range(400)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_contents_come_in_the_order_of_the_paths(mode, files):
    """Whatever the number of files, each is read whole and in its turn."""
    for count in (0, 1, 2, 85, 86, 400):
        expected = [path.name.encode() for path in files[:count]]
        assert mode.run(_all, files[:count]) == expected


def test_size_counts_for_each(mode, files):
    """The size is that of `read_binary`."""
    assert mode.run(_all, files[:3], 2) == [b"00", b"00", b"00"]


def test_a_failing_file_comes_in_its_turn(mode, files):
    """The contents before a missing file have been given when its error is raised."""
    seen = []

    async def body(context_vars):
        async for content in read_many(files, context_vars=context_vars):
            seen.append(content)  # noqa: PERF401 - what was seen before the error is the point

    files[200].unlink()
    with pytest.raises(FileNotFoundError) as caught:
        mode.run(body)
    assert caught.value.filename == str(files[200])
    assert len(seen) == 200


def test_paths_are_taken_as_they_are_needed(mode, files):
    """Back-pressure: not more than a hop's paths are taken ahead of what was given."""
    taken = []

    async def body(context_vars):
        given = 0
        contents = read_many((taken.append(p) or p for p in files), context_vars=context_vars)
        async for _ in contents:
            given += 1
            assert len(taken) - given <= 256
            if given == 1:
                assert len(taken) == 1

    mode.run(body)
    assert len(taken) == 400


def test_large_files_are_not_read_ahead(mode, tmp_path):
    """A hop ends when it has enough bytes; every content still comes."""
    for number in range(5):
        (tmp_path / str(number)).write_bytes(bytes([number]) * 9_000_000)
    contents = mode.run(_all, [tmp_path / str(number) for number in range(5)])
    assert [content[:1] for content in contents] == [b"\0", b"\1", b"\2", b"\3", b"\4"]


def test_the_mode_is_needed(tmp_path):
    """Reference, context_vars: it must include context_vars['async']; also for no file."""
    with pytest.raises(MissingModeError):
        read_many([]).__anext__().send(None)


def test_arguments_are_checked(mode, tmp_path):
    """A path that is none and a size that is none are refused."""
    with pytest.raises(TypeError, match="filepath is a str"):
        mode.run(_all, [b"bytes"])
    with pytest.raises(TypeError, match="size is a number"):
        mode.run(_all, [tmp_path], "1")
