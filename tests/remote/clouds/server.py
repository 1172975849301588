"""What the servers of all vendors have in common."""

from __future__ import annotations

import itertools
import re
import socket
import threading
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "bucket"


class Cloud:
    """What a server has: objects with their versions, and uploads in parts."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.parts: dict[str, dict[str, bytes]] = {}
        self.versions = itertools.count(1)
        self.serving = True
        self.connections: set[socket.socket] = set()
        self.changed = threading.Condition()

    def put(self, key: str, data: bytes) -> int:
        """Keep an object, and give its version."""
        self.objects[key] = data, next(self.versions)
        return self.objects[key][1]

    def come(self, connection: socket.socket) -> None:
        """Take note of a connection."""
        with self.changed:
            self.connections.add(connection)
            if not self.serving:
                self._cut(connection)

    def go(self, connection: socket.socket) -> None:
        """Take note that it is closed."""
        with self.changed:
            self.connections.discard(connection)
            self.changed.notify_all()

    def drop(self) -> None:
        """Close what connections clients have left, and those that a client is only making now."""
        with self.changed:
            self.serving = False
            for each in self.connections:
                self._cut(each)
            if not self.changed.wait_for(lambda: not self.connections, 50):  # -O drops asserts
                raise TimeoutError("there are connections left")

    @staticmethod
    def _cut(connection: socket.socket) -> None:
        with suppress(OSError):  # the client has closed it just now
            connection.shutdown(socket.SHUT_RDWR)


class Server(ThreadingHTTPServer):
    """Tells of its connections."""

    daemon_threads = True

    def __init__(self, handler: type[Handler], content: Cloud) -> None:
        self.content = content
        super().__init__(("127.0.0.1", 0), partial(handler, content))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, in a thread."""
        self.content.come(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        self.content.go(request)


class Handler(BaseHTTPRequestHandler):
    """What both protocols have in common."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # or headers and body are sent apart, and the second waits for an acknowledgement
    first_part = 0  # of the path, that is the bucket
    version_name = "x-unused"

    def __init__(self, cloud: Cloud, *args: Any) -> None:
        self.cloud = cloud
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def serve(self) -> None:
        """Answer a request."""
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query, True).items()}
        names = parts.path.split("/")[1 + self.first_part :]
        self.key = unquote("/".join(names[1:]))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if names[0] != BUCKET:
            self.answer(404, self.error(f"No{self.kind}"))
            return
        with self.cloud.lock:
            getattr(self, self.command.lower())()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve  # noqa: N815 - http.server's names

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send an answer, in one piece."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, code: str) -> bytes:
        """Make the body of an error."""
        return f"<Error><Code>{code}</Code></Error>".encode()

    def tags(self, version: int) -> dict[str, str]:
        """Give the headers that tell a version."""
        return {"ETag": f'"tag-{version}"', "Last_Modified": formatdate(usegmt=True)} | {
            self.version_name: str(version)
        }

    def head(self) -> None:
        """Look at an object."""
        self.get()

    def get(self) -> None:
        """Give an object, or a part of it, or the list of them."""
        if not self.key:
            self.list()
            return
        if self.key not in self.cloud.objects:
            self.answer(404, self.error("NoSuchKey"))
            return
        data, version = self.cloud.objects[self.key]
        condition = self.headers.get("If-Match")
        if condition and condition != f'"tag-{version}"':
            self.answer(412, self.error("ConditionNotMet"))
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self.answer(200, data, Content_Length=str(len(data)), **self.tags(version))
            return
        start, end = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        if start >= len(data):
            self.answer(416, self.error("InvalidRange"))
            return
        ranged = f"bytes {start}-{end}/{len(data)}"
        self.answer(206, data[start : end + 1], Content_Range=ranged, **self.tags(version))

    def found(self) -> tuple[list[str], list[str]]:
        """Give the folders and the keys of a list."""
        prefix, mark = self.query.get("prefix", ""), self.query.get("delimiter")
        keys = sorted(key for key in self.cloud.objects if key.startswith(prefix))
        if not mark:
            return [], keys
        rests = [key[len(prefix) :] for key in keys]
        folders = {prefix + rest.partition(mark)[0] + mark for rest in rests if mark in rest}
        return sorted(folders), [prefix + rest for rest in rests if mark not in rest]

    def copy(self, source: str) -> None:
        """Copy an object."""
        key = unquote(source).partition(f"{BUCKET}/")[2]
        if key not in self.cloud.objects:
            self.answer(404, self.error("NoSuchKey"))
            return
        version = self.cloud.put(self.key, self.cloud.objects[key][0])
        result = b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"
        self.answer(200, result, x_ms_copy_status="success", **self.tags(version))

    def write(self, data: bytes) -> None:
        """Write an object."""
        version = self.cloud.put(self.key, data)
        self.answer(201, **self.tags(version))
