"""Futures of a cluster as aprocs of a manager."""

from __future__ import annotations

import asyncio

import pytest

from mt.aio.manager import AprocManager

pytestmark = pytest.mark.slow


def test_futures_of_a_cluster(cluster):
    """A manager takes dask futures by the hundred, and sees each of them to its end."""

    async def body():
        async with cluster.client(asynchronous=True) as client, AprocManager(8) as manager:
            futures = client.map(abs, range(-100, 0), pure=False)
            for future in futures:
                await manager.send(future)
            await manager.cleanup()
            return {future.status for future in futures}

    assert asyncio.run(body()) == {"finished"}


def test_a_future_that_fails(cluster):
    """What a task of the cluster raised is what the manager raises."""

    async def body():
        async with cluster.client(asynchronous=True) as client:
            manager = AprocManager(8)
            await manager.send(client.submit(divmod, 1, 0))
            await manager.cleanup()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(body())


def test_a_future_that_was_cancelled(cluster):
    """A future that somebody has cancelled is an aproc that failed, with dask's error."""

    async def body():
        async with cluster.client(asynchronous=True) as client:
            manager = AprocManager(8)
            future = client.submit(abs, 1, workers=["nobody"], pure=False)
            await manager.send(future)
            await future.cancel()
            await manager.cleanup()

    with pytest.raises(Exception, match="cancelled") as caught:
        asyncio.run(body())
    assert type(caught.value).__name__ == "FutureCancelledError"
