"""What is used of dask below its public face: all of it is in this module, and nowhere else.

Why not dask's own proxy of an actor: it belongs to whatever client is the current one, its calls
never end once the actor was released or the scheduler has lost it (then nobody could be told that
the host is lost), it cannot be told whether to go through the scheduler, and it adds two rounds of
the loop to each call. Why not dask's own `Queue`: it makes tuples of lists, and a getter that was
cancelled takes the next item with it.

So the calls that these make are made here: the operation `actor_execute` of a worker, by way of
the client's pool of connections or the scheduler's `proxy`; the scheduler's `queue_...`. Dask does
not promise that they stay. `check` looks whether they are there, before anything is started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from distributed import Client

# Whose attributes are used, and which; a method's parameters that are used by name.
_CLIENT = ("loop.asyncio_loop", "rpc", "scheduler")
_METHODS = {
    "Worker.actor_execute": ("actor", "function", "args", "kwargs"),
    "Scheduler.proxy": ("msg", "worker"),
    "Scheduler.identity": ("n_workers",),
    "queues.QueueExtension.create": ("name", "maxsize"),
    "queues.QueueExtension.put": ("name", "data", "timeout"),
    "queues.QueueExtension.get": ("name", "timeout"),
    "queues.QueueExtension.qsize": ("name",),
}
_MISSING: Any = object()


def check(client: Client) -> None:
    """See that what is used is there.

    Raises:
        RuntimeError: dask has changed.
    """
    import inspect

    import distributed

    missing = [f"Client.{path}" for path in _CLIENT if _look(client, path) is _MISSING]
    for path, parameters in _METHODS.items():
        method = _look(distributed, path)
        known = () if method is _MISSING else inspect.signature(method).parameters
        if not set(parameters).issubset(known):
            missing.append(f"{path}({', '.join(parameters)})")
    if missing:
        raise RuntimeError(
            f"mt-aio-dask does not know distributed {distributed.__version__}, which has no "
            f"{', '.join(missing)}: use another version of one of the two"
        )


def loop_of(client: Client) -> AbstractEventLoop:
    """Return the client's event loop."""
    loop: AbstractEventLoop = client.loop.asyncio_loop
    return loop


async def execute(
    client: Client, address: str, actor: str, function: str, args: tuple[Any, ...], *, direct: bool
) -> Any:
    """Call a method of an actor, once."""
    from distributed.protocol import to_serialize

    asked = {
        "actor": actor,
        "function": function,
        "args": [to_serialize(argument) for argument in args],
        "kwargs": {},
    }
    if direct:
        told = await client.rpc(address).actor_execute(**asked)
    else:
        told = await client.scheduler.proxy(worker=address, msg={"op": "actor_execute", **asked})
    if told["status"] != "OK":
        raise told["exception"]
    return told["result"]


async def workers_of(client: Client) -> dict[str, dict[str, Any]]:
    """Ask the scheduler for its workers: what it knows of each, by address."""
    told = await client.scheduler.identity(n_workers=-1)
    workers: dict[str, dict[str, Any]] = told["workers"]
    return workers


async def ask(client: Client, what: str, **arguments: Any) -> Any:
    """Have the scheduler do something with a queue: create, put, get, or qsize."""
    return await getattr(client.scheduler, f"queue_{what}")(**arguments)


def _look(found: Any, path: str) -> Any:
    for name in path.split("."):
        found = getattr(found, name, _MISSING)
    return found
