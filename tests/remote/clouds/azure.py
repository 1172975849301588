"""Azure Blob Storage."""

from __future__ import annotations

import base64
import re
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from .server import BUCKET, Handler


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


def azure_options(address: str) -> dict[str, Any]:
    """What `configure` needs for such a server."""
    key = base64.b64encode(b"SeCrEt+of/nobody").decode()
    return {"account_name": "me", "account_key": key, "endpoint": f"{address}/me"}
