"""Small servers that speak of Google's and Azure's protocols what a client of theirs needs.

They are made after the vendors' descriptions of the calls, not after the client, keep everything in
the memory, and refuse what they do not know. Credentials are not checked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .azure import Azure, azure_options
from .google import Google, google_options
from .server import Cloud, Server

SCHEMES = {"gs": (Google, google_options), "az": (Azure, azure_options)}


@contextmanager
def cloud(scheme: str) -> Iterator[tuple[Cloud, dict[str, Any]]]:
    """Serve a store of a scheme: what it has, and what `configure` needs."""
    handler, options = SCHEMES[scheme]
    content = Cloud()
    server = Server(handler, content)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    client = {"client_options": {"allow_http": True}}
    yield content, options(f"http://127.0.0.1:{server.server_port}") | client
    server.shutdown()
    server.server_close()
    thread.join()
