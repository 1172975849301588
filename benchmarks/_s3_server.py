"""An S3 server on this machine: moto, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

OPTIONS = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}

# As real stores do, it keeps connections; the server that moto uses does not unless it is told.
_PROGRAM = """
from moto.server import main
from werkzeug.serving import WSGIRequestHandler

WSGIRequestHandler.protocol_version = "HTTP/1.1"
WSGIRequestHandler.log_request = lambda *args: None  # nobody reads it, and the pipe would fill
main(["-H", "127.0.0.1", "-p", "0"])
"""


@contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """Start a server that has a bucket, and give its address."""
    command = [sys.executable, "-u", "-c", _PROGRAM]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        address = next(
            found[0]
            for line in server.stderr or ()
            if (found := re.search(r"http://[\d.:]+", line))
        )
        request = urllib.request.Request(f"{address}/{bucket}", method="PUT")  # noqa: S310 - http
        urllib.request.urlopen(request).close()  # noqa: S310 - likewise
        yield address
    finally:
        server.kill()
        server.wait()
