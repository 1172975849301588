"""Google Cloud Storage."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.sax.saxutils import escape

from .server import Handler


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


def google_options(address: str) -> dict[str, Any]:
    """What `configure` needs for such a server."""
    key = {"gcs_base_url": address, "disable_oauth": True, "client_email": "", "private_key": ""}
    return {"service_account_key": json.dumps({**key, "private_key_id": ""})}
