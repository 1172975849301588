"""The bars of long work, as `amap` shows them."""

from __future__ import annotations

import sys

import pytest

from mt.aio.core import amap, sleep
from mt.aio.core.lowlevel import check_progress, open_bar


class Bar:
    """A progress bar of the caller's."""

    def __init__(self):
        self.n = 0

    def update(self, n=1):
        """Move on."""
        self.n += n


def _five_naps(mode, progress):
    async def body(context_vars):
        naps = amap(sleep, [0] * 5, progress=progress, context_vars=context_vars)
        return [nap async for nap in naps]

    return mode.run(body)


def test_a_bar_of_the_caller_s(mode):
    """It is updated for each result taken, and not closed."""
    bar = Bar()
    assert len(_five_naps(mode, bar)) == 5
    assert bar.n == 5


def test_a_bar_of_tqdm(mode, capfd):
    """A title makes one, which knows the number of items."""
    _five_naps(mode, "napping")
    assert "napping: 100%" in capfd.readouterr().err


def test_what_is_no_bar():
    """Anything else than a title or an object with `update` is refused."""
    with pytest.raises(TypeError, match="an object with a method 'update', not int"):
        list(amap.sync(sleep, [], progress=3))


def test_a_bar_that_is_opened(monkeypatch):
    """By a piece of mt.aio: with a title, without one, of the caller's own, or none."""
    made = []
    monkeypatch.setattr("tqdm.tqdm", lambda **options: made.append(options) or Bar())
    own = Bar()
    for progress in ("title", True, own, False):
        open_bar(progress, 3).update()
    assert made == [{"desc": "title", "total": 3}, {"desc": None, "total": 3}]
    assert own.n == 1
    with pytest.raises(TypeError, match="not int"):
        open_bar(3, 3)


@pytest.mark.parametrize("progress", [True, "x"])
def test_without_tqdm(monkeypatch, progress):
    """A bar where tqdm is not installed: the error says at once what to install."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    for refuse in (check_progress, lambda progress: list(amap.sync(sleep, [0], progress=progress))):
        with pytest.raises(
            ModuleNotFoundError, match=r'pip install "mt-aio-core\[progress\]"'
        ) as caught:
            refuse(progress)
        assert caught.value.name == "tqdm"


def test_with_a_broken_tqdm(monkeypatch, tmp_path):
    """What an installed tqdm misses is not taken for tqdm itself."""
    (tmp_path / "tqdm.py").write_text("import what_it_needs")
    monkeypatch.delitem(sys.modules, "tqdm", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_it_needs"):
        list(amap.sync(sleep, [0], progress="x"))
