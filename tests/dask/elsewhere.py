"""A host without any engine: each child is kept by a station in another process.

As a program, this is such a process. Requests and answers are pickles, each with its length before
it.
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
from typing import Any

from mt.aio.proc.lowlevel import RemoteHost, Station


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


async def serve():
    """Keep a child for each connection until that is closed; be there until stdin is."""
    connections = set()
    stations = []

    async def connected(reader, writer):
        connections.add(asyncio.current_task())
        stations.append(station := Station())
        tasks = set()

        async def answer(number, name, asked):
            result = await getattr(station, name)(*asked)
            write(writer, (number, plain(result) if name == "exchange" else result))

        try:
            while True:
                tasks.add(asyncio.create_task(answer(*await read(reader))))
                tasks = {task for task in tasks if not task.done()}
        except (asyncio.IncompleteReadError, ConnectionError):
            station.abandon()
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 28)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    for station in stations:
        await asyncio.to_thread(station.finish, 5)


class Elsewhere(RemoteHost):
    """A remote host without an engine: another process keeps the children."""

    def __init__(self) -> None:
        super().__init__(timeout=20)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        command = [sys.executable, "-W", "ignore", __file__]
        self._popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._port = int(self._popen.stdout.readline())

    def carrier(self) -> Any:
        """Make what carries the calls for one child."""
        return _Pipe(self._port)

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that runs in a thread of this host's."""
        return self._loop

    def close(self) -> None:
        """Wait for all children, and end the process and the thread."""
        asyncio.run_coroutine_threadsafe(self._rest(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        with self._popen as popen:
            popen.stdin.close()

    async def _rest(self) -> None:
        """Wait for what is ending."""
        while rest := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(rest)


class _Pipe:
    """Carries calls to `elsewhere.py`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._writer: Any = None

    async def start(self, *asked: Any) -> tuple[int, str]:
        there = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 28)
        reader, self._writer = there
        self._reading = asyncio.create_task(self._read(reader))
        return await self._ask("start", asked), "the other process"

    async def exchange(self, *asked: Any) -> Any:
        *rest, packets = asked
        packets = [(number, kind, [bytes(s) for s in every]) for number, kind, every in packets]
        return await self._ask("exchange", (*rest, packets))

    def gone(self) -> str:
        return ""

    def why_not(self) -> str:
        return ""

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def _ask(self, name: str, asked: Any) -> Any:
        self._number += 1
        future = self._answers[self._number] = asyncio.get_running_loop().create_future()
        data = pickle.dumps((self._number, name, asked))
        self._writer.write(len(data).to_bytes(8, "little") + data)
        return await future

    async def _read(self, reader: Any) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(8), "little")
                number, answer = pickle.loads(await reader.readexactly(size))
                future = self._answers.pop(number)
                if not future.done():
                    future.set_result(answer)
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(OSError(f"hung up: {exc}"))


if __name__ == "__main__":
    asyncio.run(serve())
