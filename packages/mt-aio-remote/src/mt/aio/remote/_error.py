"""What obstore raises, as the errors that files raise.

obstore's own texts quote requests and answers, and with them signatures and key ids. So nothing
of them is passed on but what is known to be harmless; and the new error is raised outside of the
handler, as a traceback would show its context.
"""

from __future__ import annotations

import errno
import os
import re

_STATUS = re.compile(r"status code: (\d{3}(?: [A-Z][A-Za-z ]*)?)")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_RETRIES = re.compile(r"after (\d+) retries")
_ADDRESS = re.compile(r"(\w+://)(?:[^\s/@]*@)?([^\s?,\"']*)(?:\?[^\s,\"']*)?")
_KINDS = {
    "FileNotFoundError": errno.ENOENT,
    "NotFoundError": errno.ENOENT,
    "AlreadyExistsError": errno.EEXIST,
    "PreconditionError": errno.EEXIST,  # that of `exclusive`; others are told apart by who asks
    "InvalidPathError": errno.EINVAL,  # a key in a list; those that we are given are checked
    "PermissionDeniedError": errno.EACCES,
    "UnauthenticatedError": errno.EACCES,
    "NotSupportedError": errno.ENOTSUP,
}
_STATUSES = {"401": errno.EACCES, "403": errno.EACCES, "404": errno.ENOENT}  # of a list, say
_BEYOND = ("status code: 416", "but object was only ")


def explain(exc: Exception, url: str, secrets: set[str]) -> Exception:
    """Make the error to raise of one of obstore's.

    Args:
        exc: obstore's.
        url: the URL to show, as `filename`.
        secrets: what must not be in the text.

    Returns:
        An `OSError` of the kind that a file would have raised. What is none of obstore's errors
        comes back as it is, as the caller's own data raised it.
    """
    text = str(exc)
    number = _KINDS.get(type(exc).__name__)
    if number is None and type(exc).__module__ != "obstore.exceptions":
        return exc
    if number is None:
        number, reason = _failure(text, secrets)
    elif number == errno.EINVAL:
        reason = "A key there has '.' or '..' as a part, or an empty one"
    else:
        reason = os.strerror(number)
    details = []
    if status := _STATUS.search(text):
        details.append(f"the store answered {status[1].strip()}")
    if code := _CODE.search(text):
        details.append(code[1])
    if retries := _RETRIES.search(text):
        details.append(f"after {retries[1]} retries")
    return OSError(number, f"{reason} ({', '.join(details)})" if details else reason, url)


def scrub(text: str, secrets: set[str]) -> str:
    """Take everything that may be secret out of the first line of an obstore text."""
    line = text.partition("\n")[0].strip()
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        line = line.replace(secret, "***")
    return _ADDRESS.sub(r"\1\2", line)[:300]


_FAILURES = (
    (_BEYOND, errno.ERANGE, "The object has nothing there"),
    (("kind: Timeout", "TimedOut"), errno.ETIMEDOUT, "The store did not answer in time"),
    (("kind: Connect",), errno.ECONNREFUSED, "The store cannot be reached"),
    (
        ("Content-Length Header missing",),
        errno.EIO,
        "The server does not say how much there is, so what it sends may be cut short",
    ),
    (("error following redirect",), errno.EIO, "The server refers to elsewhere again and again"),
)


def _failure(text: str, secrets: set[str]) -> tuple[int, str]:
    """Say what kind of failure it was that obstore has no class for."""
    for signs, number, reason in _FAILURES:
        if any(words in text for words in signs):
            return number, reason
    if status := _STATUS.search(text):
        known = _STATUSES.get(status[1][:3])
        return (errno.EIO, "The store refused") if known is None else (known, os.strerror(known))
    if "HTTP error" in text:
        return errno.ECONNABORTED, "The connection to the store broke"
    return errno.EIO, scrub(text, secrets)
