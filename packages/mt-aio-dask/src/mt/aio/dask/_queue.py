"""A queue of a dask cluster as `qput_aio` and `qget_aio` want it.

Items travel pickled, so that they come back as they were: the bare queue makes tuples of lists. The
scheduler is asked for half a second at a time; a getter that was cancelled meanwhile is not
forgotten: if it is given an item after all, it puts it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future as Ended
from concurrent.futures import wait
from queue import Empty, Full
from typing import TYPE_CHECKING, Any, TypeVar

from mt.aio.core import asyn
from mt.aio.core.lowlevel import ContextVars, is_async
from mt.aio.dask import _below

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")

_SLICE = 0.5  # seconds for which the scheduler is asked at a time; arbitrary
_ONCE = 0.01  # seconds; it needs more than none to look whether there is an item; arbitrary


class DaskQueue:
    """A queue that the scheduler of a dask cluster keeps; what `queue` returns.

    It can be used from any number of event loops, threads and machines at once. An instance can be
    pickled: in a task on a worker it belongs to that worker's client.

    Attributes:
        name: what the queue is called everywhere.
        maxsize: how many items it takes, set by whoever uses it first; 0 is no limit.
    """

    def __init__(self, name: str, client: Client | None = None, maxsize: int = 0) -> None:
        self.name = name
        self.maxsize = maxsize
        self._client = client
        self._made = False

    def __reduce__(self) -> tuple[object, ...]:
        """Become the queue of this name on the other side."""
        return DaskQueue, (self.name, None, self.maxsize)

    async def put(
        self,
        obj: Any,
        block: bool = True,
        timeout: float | None = None,
        *,
        context_vars: ContextVars = {},
    ) -> None:
        """Put an object, as `qput_aio` does.

        Args:
            obj: what to put: anything that cloudpickle can handle.
            block: whether to wait until there is room.
            timeout: seconds to wait at most; None waits for ever.
            context_vars: the mode; asynchronous if left out.

        Raises:
            queue.Full: there was no room (in time).

        **Cancellation.** Nothing has been put. If it is too late for that, the coroutine returns
        and the cancellation meets whatever the task awaits next. Takes half a second at most.
        """
        import cloudpickle

        data = cloudpickle.dumps(obj)

        def attempt(seconds: float) -> Coroutine[Any, Any, object]:
            return self._ask("put", data=data, timeout=seconds)

        try:
            await self._repeat(attempt, timeout if block else 0, context_vars)
        except TimeoutError:
            raise Full from None

    async def get(
        self,
        block: bool = True,
        timeout: float | None = None,
        *,
        context_vars: ContextVars = {},
    ) -> Any:
        """Remove and return an item, as `qget_aio` does.

        Args:
            block: whether to wait until there is an item.
            timeout: seconds to wait at most; None waits for ever.
            context_vars: the mode; asynchronous if left out.

        Returns:
            The item.

        Raises:
            queue.Empty: there was no item (in time).

        **Cancellation.** No item is lost: one that the scheduler has given away already is put
        back, at the end of the queue.
        """
        import pickle

        def attempt(seconds: float) -> Coroutine[Any, Any, Any]:
            return self._ask("get", timeout=seconds)

        async def undo(record: Any) -> None:
            await self._ask("put", data=record["value"], timeout=None)

        try:
            record = await self._repeat(attempt, timeout if block else 0, context_vars, undo)
        except TimeoutError:
            raise Empty from None
        return pickle.loads(record["value"])  # noqa: S301 - `put` has made it

    @asyn
    async def qsize(self, *, context_vars: ContextVars = {}) -> int:
        """Tell how many items there are.

        Args:
            context_vars: the mode; asynchronous if left out.
        """

        def attempt(_seconds: float) -> Coroutine[Any, Any, int]:
            return self._ask("qsize")

        return await self._repeat(attempt, None, context_vars)

    async def _repeat(
        self,
        attempt: Callable[[float], Coroutine[Any, Any, T]],
        timeout: float | None,
        context_vars: ContextVars,
        undo: Callable[[T], Coroutine[Any, Any, None]] | None = None,
    ) -> T:
        """Try until it works or time is up.

        A cancellation takes effect when the attempt that is under way has ended; if it has worked
        by then, it is undone, or else the cancellation is too late.
        """
        stopped = False

        async def go() -> T:
            loop = asyncio.get_running_loop()
            deadline = None if timeout is None else loop.time() + timeout
            while True:
                rest = _SLICE if deadline is None else min(_SLICE, deadline - loop.time())
                try:
                    result = await attempt(max(rest, _ONCE))
                except TimeoutError:
                    if stopped or (deadline is not None and loop.time() >= deadline):
                        raise
                else:
                    if not (stopped and undo):
                        return result
                    await undo(result)
                    raise TimeoutError

        future = self._begin(go(), context_vars)
        if isinstance(future, Ended):
            return future.result()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stopped = True
            if await _failed(future):
                raise
            return future.result()

    def _begin(
        self, coroutine: Coroutine[Any, Any, T], context_vars: ContextVars
    ) -> asyncio.Future[T] | Ended[T]:
        """Run something in the client's event loop, whatever loop this is."""
        loop = _below.loop_of(self._found())
        running = asyncio._get_running_loop()  # noqa: SLF001 - documented
        if running is loop and (not context_vars or is_async(context_vars)):
            return asyncio.ensure_future(coroutine)
        if running is loop:
            coroutine.close()
            raise RuntimeError("the event loop of the dask client cannot be blocked")
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        if context_vars and not is_async(context_vars):
            wait([future])
            return future
        return asyncio.wrap_future(future)

    async def _ask(self, what: str, **arguments: Any) -> Any:
        """Ask the scheduler."""
        client = self._found()
        if not self._made:
            _below.check(client)
            await _below.ask(client, "create", name=self.name, maxsize=self.maxsize)
            self._made = True
        return await _below.ask(client, what, name=self.name, **arguments)

    def _found(self) -> Client:
        if self._client is None:
            from distributed import get_client

            self._client = get_client()
        return self._client


async def _failed(future: asyncio.Future[Any]) -> bool:
    """Outlast something although this task was cancelled; tell whether it came to nothing.

    If not, the cancellation came too late: it meets what the task awaits next.
    """
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if future.cancelled() or future.exception() is not None:
        return True
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
        task.cancel()
    return False


def queue(name: str, client: Client | None = None, *, maxsize: int = 0) -> DaskQueue:
    """Give the queue of a name that the scheduler of a dask cluster keeps.

    It is for `qput_aio` and `qget_aio`, which treat it as they treat a queue of this machine: in
    both modes, with `queue.Empty` and `queue.Full`, and without losing an item on cancellation.
    All items go through the scheduler, so they should be small.

    Args:
        name: what the queue is called; whoever uses the same name on the same cluster shares it.
        client: the `distributed.Client`; the current one if left out, which in a task is that of
            its worker. Synchronous mode needs one whose event loop runs in a thread, as it does
            unless the client was made with `asynchronous=True`.
        maxsize: how many items it takes, if it does not exist yet; 0 is no limit.

    Returns:
        The queue.

    Example:
        >>> from mt.aio.proc import qget_aio, qput_aio
        >>> async def main(client):
        ...     jobs = queue("jobs", client)
        ...     await qput_aio(jobs, ["nested", ["lists"]])
        ...     return await qget_aio(jobs, timeout=1)
    """
    return DaskQueue(name, client, maxsize)
