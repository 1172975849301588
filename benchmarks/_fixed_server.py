"""A server on this machine that answers every request with the same object, and does little else.

It is to cost less than any client does; the reading of a real store waits for other things.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Requests without a body, on connections that are kept: what a client that reads objects sends.
_PROGRAM = """
import asyncio
import uvloop

CONTENT = bytes({size})
HEAD = (
    "HTTP/1.1 200 OK\\r\\nContent-Length: {size}\\r\\nContent-Type: binary/octet-stream\\r\\n"
    'ETag: "0f343b0931126a20f133d67c2b018a3b"\\r\\nAccept-Ranges: bytes\\r\\n'
    "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n"
).encode()

class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.seen = transport, b""

    def data_received(self, data):
        *requests, self.seen = (self.seen + data).split(b"\\r\\n\\r\\n")
        for request in requests:
            self.transport.write(HEAD if request.startswith(b"HEAD") else HEAD + CONTENT)

async def main():
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

uvloop.run(main())
"""


@contextmanager
def fixed_server(size: int) -> Iterator[str]:
    """Start a server whose objects all have so many bytes, and give its address."""
    command = [sys.executable, "-c", _PROGRAM.replace("{size}", str(size))]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None  # noqa: S101 - for the type checker
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.communicate()
