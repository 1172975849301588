"""A process of its own that keeps one station: the far end of a host without any engine.

Requests and answers are pickles, each with its length before it.
"""

from __future__ import annotations

import asyncio
import pickle
import sys

from mt.aio.proc.lowlevel import Station


async def read(reader):
    """Read one pickle."""
    size = int.from_bytes(await reader.readexactly(8), "little")
    return pickle.loads(await reader.readexactly(size))


def write(writer, what):
    """Write one pickle."""
    data = pickle.dumps(what)
    writer.write(len(data).to_bytes(8, "little") + data)


def plain(answer):
    """Make of an answer what can be pickled: its large buffers may be views."""
    first, events, withheld = answer
    for place, event in enumerate(events):
        if event[0] == "frame":
            events[place] = (*event[:3], [bytearray(segment) for segment in event[3]])
    return first, events, withheld


async def serve(port):
    """Connect to the caller and do what it asks, until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 28)
    station = Station()

    async def answer(number, name, asked):
        result = await getattr(station, name)(*asked)
        write(writer, (number, plain(result) if name == "exchange" else result))

    tasks = set()
    try:
        while True:
            tasks.add(asyncio.create_task(answer(*await read(reader))))
            tasks = {task for task in tasks if not task.done()}
    except (asyncio.IncompleteReadError, ConnectionError):
        station.abandon()
        await asyncio.to_thread(station.finish, 5)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
