"""What carries the calls for one child: an actor's calls, by way of dask's own connections.

The calls are made by the client's connections directly, not by the actor's proxy: see `_below`.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mt.aio.dask import _below
from mt.aio.dask._bundle import Shipped, bundle
from mt.aio.dask._shell import cooked, raw

if TYPE_CHECKING:
    from distributed import Client, Future

    from mt.aio.dask._host import DaskHost

_AGAIN = 0.05  # seconds before the scheduler is asked again; arbitrary


class DaskCarrier:
    """Carries the calls for one child."""

    def __init__(self, host: DaskHost) -> None:
        self._host = host
        self._client: Client | None = None
        self._future: Future | None = None
        self._key = f"mt-aio-child-{uuid4().hex}"
        self._address = ""
        self._direct = False

    async def start(self, setup: list[Any], forward: tuple[str, ...]) -> tuple[int, str]:
        """Have a worker chosen, see that it is fit, and start the child there."""
        host = self._host
        self._client = client = host.client
        _below.check(client)
        workers = await self._fit() if host.workers else None
        self._future = client.submit(
            Shipped(),
            key=self._key,
            actor=True,
            pure=False,
            workers=workers,
            resources=host.resources,
            allow_other_workers=False,
        )
        self._address = await self._placed()
        package, archive = bundle()
        version, there = await self._first_call(package)
        if version != sys.version_info[:2]:
            ours, theirs = (".".join(map(str, v)) for v in (sys.version_info[:2], version))
            raise RuntimeError(
                f"the worker {self._address} runs Python {theirs} and this program {ours}: what "
                "is sent can only be read by the same minor version"
            )
        pid, node = await self._execute(
            "start", package, b"" if there else archive, raw(setup), forward
        )
        return pid, f"{node} (worker {self._address})"

    async def exchange(self, *asked: Any) -> Any:
        """Have the station called."""
        *rest, packets = asked
        packets = [(number, kind, raw(segments)) for number, kind, segments in packets]
        first, events, withheld = await self._execute("exchange", (*rest, packets))
        for place, event in enumerate(events):
            if event[0] == "frame":
                events[place] = (*event[:3], cooked(event[3]))
        return first, events, withheld

    def gone(self) -> str:
        """What the scheduler has told of the worker's loss, if it has."""
        if self._client is not None and self._client.status in ("closing", "closed"):
            return "the dask client was closed"
        status = "" if self._future is None else self._future.status
        if not self._address or status in ("finished", "pending"):
            return ""
        return f"the scheduler has lost the worker {self._address}"

    def why_not(self) -> str:
        """Say what may have kept it from being started."""
        host = self._host
        if self._address:
            return f": the worker {self._address} has not answered"
        wanted = [f"workers={host.workers!r}"] if host.workers else []
        wanted += [f"resources={host.resources!r}"] if host.resources else []
        return ": no worker took it" + (f" ({', '.join(wanted)})" if wanted else "")

    def drop(self) -> None:
        """Release the actor: with it, the child goes."""
        future, self._future = self._future, None
        if future is not None:
            future.release()

    async def _fit(self) -> list[str]:
        """Wait until there are workers that may be chosen; give their addresses.

        Dask would take a worker's name that it does not know yet for that of a machine, and then
        any worker on the machine where that name comes up.
        """
        wanted = set(self._host.workers or ())
        resolved = asyncio.ensure_future(_resolved(wanted))
        try:
            while True:
                machines = wanted | (resolved.result() if resolved.done() else set())
                known = await _below.workers_of(self._host.client)
                fit = [
                    address
                    for address, worker in known.items()
                    if {address, str(worker["name"])} & wanted or worker["host"] in machines
                ]
                if fit:
                    return fit
                await asyncio.sleep(_AGAIN)
        finally:
            resolved.cancel()

    async def _placed(self) -> str:
        """Wait until the actor is there; tell where."""
        from distributed import wait

        client = self._host.client
        with client.as_current():  # `wait` asks for one
            await wait(self._future)
        if self._future is None or self._future.status != "finished":
            error = None if self._future is None else await self._future.exception()
            raise RuntimeError("the scheduler cannot place it") from error
        while True:
            found = await client.who_has([self._future])
            if addresses := found.get(self._key):
                return str(addresses[0])
            await asyncio.sleep(_AGAIN)

    async def _first_call(self, package: str) -> tuple[tuple[int, int], bool]:
        """Call directly, unless told otherwise; where that cannot be, through the scheduler."""
        self._direct = self._host.direct is not False
        try:
            call = self._execute("look", package)
            limit = None if self._host.direct else self._host.grace
            version, there = await asyncio.wait_for(call, limit)
        except (OSError, TimeoutError):
            if self._host.direct is not None:
                raise
            self._direct = False
            version, there = await self._execute("look", package)
        return tuple(version), there

    async def _execute(self, function: str, *args: Any) -> Any:
        """Call a method of the actor, once."""
        return await _below.execute(
            self._host.client, self._address, self._key, function, args, direct=self._direct
        )


async def _resolved(names: set[str]) -> set[str]:
    """Look for the addresses of machines that are given by name."""
    found: set[str] = set()
    loop = asyncio.get_running_loop()
    for name in names:
        if "://" not in name:
            with suppress(OSError, UnicodeError):
                found |= {str(entry[4][0]) for entry in await loop.getaddrinfo(name, None)}
    return found
