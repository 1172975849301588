"""Small servers that speak of Google's and Azure's protocols what a client of theirs needs.

They are made after the vendors' descriptions of the calls, not after the client, keep everything in
the memory, and refuse what they do not know. Credentials are not checked.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

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


class Google(Handler):
    """The XML interface of Google Cloud Storage."""

    kind = "SuchBucket"
    version_name = "x_goog_generation"

    def put(self) -> None:
        """Write or copy an object, or take a part of one."""
        if "partNumber" in self.query:
            self.cloud.parts[self.query["uploadId"]][self.query["partNumber"]] = self.body
            self.answer(200, ETag=f'"part-{self.query["partNumber"]}"')
            return
        wanted = self.headers.get("x-goog-if-generation-match")
        now = self.cloud.objects.get(self.key, (b"", 0))[1]
        if wanted is not None and int(wanted) != now:
            self.answer(412, self.error("PreconditionFailed"))
        elif source := self.headers.get("x-goog-copy-source"):
            self.copy(source)
        else:
            self.write(self.body)

    def post(self) -> None:
        """Begin or end an upload in parts."""
        if "uploads" in self.query:
            upload = str(next(self.cloud.versions))
            self.cloud.parts[upload] = {}
            text = f"<UploadId>{upload}</UploadId>"
            self.answer(
                200,
                f"<InitiateMultipartUploadResult>{text}</InitiateMultipartUploadResult>".encode(),
            )
            return
        parts = self.cloud.parts.pop(self.query["uploadId"])
        numbers = re.findall(rb"<PartNumber>(\d+)</PartNumber>", self.body)
        version = self.cloud.put(self.key, b"".join(parts[n.decode()] for n in numbers))
        text = f'<ETag>"tag-{version}"</ETag>'
        body = f"<CompleteMultipartUploadResult>{text}</CompleteMultipartUploadResult>".encode()
        self.answer(200, body, **self.tags(version))

    def delete(self) -> None:
        """Remove an object, or what there is of one."""
        if "uploadId" in self.query:
            del self.cloud.parts[self.query["uploadId"]]
            self.answer(204)
        elif self.cloud.objects.pop(self.key, None) is None:
            self.answer(404, self.error("NoSuchKey"))
        else:
            self.answer(204)

    def list(self) -> None:
        """List objects."""
        folders, keys = self.found()
        body = "".join(
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in folders
        )
        for key in keys:
            data, version = self.cloud.objects[key]
            body += (
                f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size>"
                f"<LastModified>2026-01-01T00:00:00Z</LastModified><ETag>{version}</ETag></Contents>"
            )
        self.answer(200, f"<ListBucketResult>{body}</ListBucketResult>".encode())


class Azure(Handler):
    """The REST interface of Azure's blobs, as its emulators have it: the account is in the path."""

    kind = "SuchContainer"
    first_part = 1

    def put(self) -> None:
        """Write or copy an object, or take a part of one."""
        comp = self.query.get("comp")
        if comp == "block":
            self.cloud.parts.setdefault(self.key, {})[self.query["blockid"]] = self.body
            self.answer(201)
            return
        now = self.cloud.objects.get(self.key)
        if self.headers.get("If-None-Match") == "*" and now:
            self.answer(409, self.error("BlobAlreadyExists"))
            return
        wanted = self.headers.get("If-Match")
        if wanted and (now is None or wanted != f'"tag-{now[1]}"'):
            self.answer(412, self.error("ConditionNotMet"))
        elif comp == "blocklist":
            names = re.findall(rb"<(?:Uncommitted|Latest)>([^<]+)<", self.body)
            blocks = self.cloud.parts.pop(self.key)
            self.write(b"".join(blocks[name.decode()] for name in names))
        elif source := self.headers.get("x-ms-copy-source"):
            self.copy(source)
        else:
            assert self.headers["x-ms-blob-type"] == "BlockBlob"
            self.write(self.body)

    def post(self) -> None:
        """Remove several at once: requests in a body, as mail has its attachments."""
        mark = self.headers["Content-Type"].partition("boundary=")[2]
        body = ""
        for number, path in enumerate(re.findall(rb"DELETE (\S+) HTTP", self.body)):
            key = unquote(urlsplit(path.decode()).path).partition(f"{BUCKET}/")[2]
            gone = self.cloud.objects.pop(key, None)
            status = "202 Accepted" if gone else "404 Not Found"
            body += f"--{mark}\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
            body += f"HTTP/1.1 {status}\r\nx-ms-request-id: {number}\r\n\r\n\r\n"
        body += f"--{mark}--\r\n"
        self.answer(202, body.encode(), Content_Type=f"multipart/mixed; boundary={mark}")

    def delete(self) -> None:
        """Remove an object, or what there is of one."""
        gone = self.cloud.objects.pop(self.key, None)
        self.answer(202 if gone else 404, b"" if gone else self.error("BlobNotFound"))

    def list(self) -> None:
        """List objects."""
        folders, keys = self.found()
        body = "".join(f"<BlobPrefix><Name>{escape(each)}</Name></BlobPrefix>" for each in folders)
        for key in keys:
            data, version = self.cloud.objects[key]
            body += (
                f"<Blob><Name>{escape(key)}</Name><Properties><Content-Length>{len(data)}"
                f"</Content-Length><Last-Modified>{formatdate(usegmt=True)}</Last-Modified>"
                f"<Content-Type>x</Content-Type><Etag>{version}</Etag></Properties></Blob>"
            )
        text = f"<EnumerationResults><Blobs>{body}</Blobs><NextMarker /></EnumerationResults>"
        self.answer(200, text.encode())


def google_options(address: str) -> dict[str, Any]:
    """What `configure` needs for such a server."""
    key = {"gcs_base_url": address, "disable_oauth": True, "client_email": "", "private_key": ""}
    return {"service_account_key": json.dumps({**key, "private_key_id": ""})}


def azure_options(address: str) -> dict[str, Any]:
    """What `configure` needs for such a server."""
    key = base64.b64encode(b"SeCrEt+of/nobody").decode()
    return {"account_name": "me", "account_key": key, "endpoint": f"{address}/me"}


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
