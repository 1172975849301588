"""The aprocs that several files send to their managers."""

from __future__ import annotations

import asyncio

import pytest


class Load:
    """Aprocs that end when told, and that count how many of them run."""

    def __init__(self):
        self.now = self.most = self.started = self.ended = 0
        self.gate = asyncio.Event()

    async def aproc(self):
        """Run until the gate is open."""
        self.started += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.now -= 1
        self.ended += 1


async def _turns(count=10):
    for _ in range(count):
        await asyncio.sleep(0)


async def _failing(error):
    await asyncio.sleep(0)
    raise error


async def _returning(value=None):
    return value


async def _waiting():
    await asyncio.get_running_loop().create_future()


@pytest.fixture
def make_load():
    """Make aprocs that are counted."""
    return Load


@pytest.fixture
def turns():
    """Let the event loop go on for some turns; also an aproc that takes as many."""
    return _turns


@pytest.fixture
def failing():
    """Raise an error, a turn later."""
    return _failing


@pytest.fixture
def returning():
    """Return a value at once."""
    return _returning


@pytest.fixture
def waiting():
    """Wait until cancelled."""
    return _waiting


@pytest.fixture(autouse=True)
def no_callback_fails(caplog):
    """See that the manager's own callbacks raise nothing, of which asyncio only writes a log."""
    yield
    said = [record.getMessage() for record in caplog.get_records("call")]
    assert not [text for text in said if text.startswith("Exception in callback")]
