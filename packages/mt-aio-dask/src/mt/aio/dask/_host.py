"""DaskHost: children on the workers of a dask cluster."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mt.aio.proc.lowlevel import RemoteHost

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Mapping

    from distributed import Client

    from mt.aio.proc.lowlevel import Carrier


class DaskHost(RemoteHost):
    """The workers of a dask cluster, as a host for the children of `BgProcess`.

    `BgProcess(host=DaskHost("tcp://scheduler:8786"))` has its child on one of the cluster's
    machines; all else is as with a local one. The constructor returns at once, the child is
    started meanwhile, and the first `send` waits for it. Dask chooses the worker, brings the calls
    there, and tells what became of it; the worker never runs, nor loads, what the user wrote: the
    child does, a process of its own on the worker's machine.

    The machines need dask and the same minor version of Python as this program. What they need of
    mt-aio is sent along, and so is the code of a class that cannot be imported there, if it was
    defined in a script, a notebook or a module outside the installed packages. What else that
    code imports has to be there.

    One host serves any number of processes, and can be given to a `BgProcessPool`.

    Args:
        client_or_address: a `distributed.Client`, which stays the caller's to close, or the
            address of a scheduler, to which a client of its own is made when a child is started.
        workers: which workers may be chosen, by their names or addresses, or by those of their
            machines; any if left out. One that has not come yet is waited for.
        resources: what the worker must have, as `{"GPU": 1}`. Dask does not keep it taken for as
            long as a child lives.
        direct: whether to call the worker without going through the scheduler; it takes half the
            time, but this machine must be able to connect to the worker's. If left out, it is
            tried, and the scheduler is used where it fails.
        timeout: seconds for a child to be started: for a worker to be found, above all.
        wait: seconds for which a call waits for news from the child.
        grace: seconds that an answer may take beyond that. A worker that does not answer for
            `wait + grace` seconds (longer by a second per 4 MiB that a call carries) is given up.

    Raises:
        ModuleNotFoundError: dask's `distributed` is not installed; said by `BgProcess`.
        ValueError: `timeout`, `wait` or `grace` is not more than 0.

    Example:
        >>> import asyncio
        >>> from mt.aio.proc import BgProcess
        >>> async def main(client):
        ...     async with BgProcess(host=DaskHost(client)) as process:
        ...         return await process.send("there and back")
    """

    def __init__(
        self,
        client_or_address: Client | str,
        *,
        workers: Collection[str] | str | None = None,
        resources: Mapping[str, float] | None = None,
        direct: bool | None = None,
        timeout: float = 60.0,
        wait: float = 2.0,
        grace: float = 3.0,
    ) -> None:
        super().__init__(timeout=timeout, wait=wait, grace=grace)
        some = [workers] if isinstance(workers, str) else list(workers or ())
        self.workers: list[str] | None = some or None
        self.resources: dict[str, float] | None = dict(resources or {}) or None
        self.direct = direct
        self._client: Client | None = None
        self._address = ""
        if isinstance(client_or_address, str):
            self._address = client_or_address
        else:
            self._client = client_or_address
        self._lock = threading.Lock()

    def by_value(self, cls: type) -> list[str]:
        """Name the modules of a class and its bases that are no installed ones.

        Args:
            cls: the class.
        """
        from mt.aio.dask._place import not_installed

        return sorted({*super().by_value(cls), *not_installed(cls)})

    def carrier(self) -> Carrier:
        """Make what carries the calls for one child."""
        from importlib.util import find_spec

        from mt.aio.dask._carrier import DaskCarrier

        if self._client is None and find_spec("distributed") is None:
            raise ModuleNotFoundError(
                'DaskHost needs distributed: pip install "mt-aio[dask]"', name="distributed"
            )
        return DaskCarrier(self)

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the client's event loop; make the client, if there is none yet."""
        from mt.aio.dask._below import loop_of

        with self._lock:
            if self._address and (self._client is None or self._client.status == "closed"):
                from distributed import Client

                self._client = Client(self._address, timeout=self.timeout, set_as_default=False)
            return loop_of(self.client)

    @property
    def client(self) -> Client:
        """The client.

        Raises:
            RuntimeError: there is none (any more).
        """
        if self._client is None:
            raise RuntimeError("the dask client was closed")
        return self._client

    def close(self) -> None:
        """Close the client that the host has made, if it has; children that are left are lost."""
        with self._lock:
            client = self._client if self._address else None
            if client is not None:
                self._client = None
        if client is not None:
            client.close()
