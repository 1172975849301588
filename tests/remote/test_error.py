"""The errors: of the kinds that files raise, and without anything secret in them."""

from __future__ import annotations

import errno
import traceback

import pytest
from obstore import exceptions

from mt.aio import remote
from mt.aio.core import srun
from mt.aio.fs import read_binary, stat, write_binary
from mt.aio.remote._error import explain, scrub

SIGNED = "https://nobody:hunter2@store.example/a/b?sig=hunter3&x=1"


@pytest.mark.parametrize(
    ("kind", "text", "expected", "number"),
    [
        ("NotFoundError", "status code: 404 Not Found", FileNotFoundError, errno.ENOENT),
        ("AlreadyExistsError", "", FileExistsError, errno.EEXIST),
        ("PreconditionError", "", FileExistsError, errno.EEXIST),
        ("PermissionDeniedError", "", PermissionError, errno.EACCES),
        ("UnauthenticatedError", "", PermissionError, errno.EACCES),
        ("NotSupportedError", "", OSError, errno.ENOTSUP),
        ("GenericError", "kind: Timeout", TimeoutError, errno.ETIMEDOUT),
        ("GenericError", "kind: Connect", ConnectionRefusedError, errno.ECONNREFUSED),
        ("GenericError", "HTTP error: kind: Body", ConnectionAbortedError, errno.ECONNABORTED),
        ("GenericError", "status code: 503 Slow Down", OSError, errno.EIO),
        ("GenericError", "status code: 404 Not Found", FileNotFoundError, errno.ENOENT),
        ("GenericError", "status code: 403 Forbidden", PermissionError, errno.EACCES),
        ("GenericError", "Content-Length Header missing", OSError, errno.EIO),
        ("GenericError", "HTTP error: error following redirect", OSError, errno.EIO),
        ("InvalidPathError", "..", OSError, errno.EINVAL),
        ("GenericError", "status code: 416 Not", OSError, errno.ERANGE),
        ("GenericError", "something else", OSError, errno.EIO),
    ],
)
def test_kinds(kind, text, expected, number):
    """Each of obstore's errors becomes the one that a file would have raised."""
    error = explain(getattr(exceptions, kind)(text), "s3://b/k", set())
    assert type(error) is expected
    assert (error.errno, error.filename) == (number, "s3://b/k")


def test_what_is_told():
    """Of the answer the status, the store's own code and the number of retries are told."""
    text = (
        "Generic S3 error: Error performing PUT https://s3/b/k?X-Amz-Signature=abc in 1s, after 6 "
        "retries - Server returned non-2xx status code: 503 Service Unavailable: <Error><Code>"
        "SlowDown</Code><Message>AKIANOBODY, please</Message></Error>\n\nDebug source:\nHeaders"
    )
    error = explain(exceptions.GenericError(text), "s3://b/k", set())
    told = "the store answered 503 Service Unavailable, SlowDown, after 6 retries"
    assert error.strerror == f"The store refused ({told})"


def test_the_callers_own_errors_pass():
    """What the caller's data raised is not taken for the store's."""
    error = KeyError("mine")
    assert explain(error, "s3://b/k", set()) is error


def test_unknown_texts_are_scrubbed():
    """Of a text of unknown form the first line is told, without what may be secret."""
    text = f"no token from {SIGNED} with s3cr3t\nDebug source: {SIGNED}"
    told = scrub(text, {"s3cr3t", ""})
    assert told == "no token from https://store.example/a/b with ***"


def _whole_text(error):
    """All that a traceback shows of an error, and its causes and contexts besides."""
    texts = []
    seen = error
    while seen is not None:
        texts += [*traceback.format_exception(seen), repr(seen.args), repr(seen.__dict__)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("func", [read_binary, stat])
def test_no_credential_is_told(mode, server, dead_link, func):
    """Whatever fails, neither text nor traceback has a key, a secret or a signature in it."""
    for url in ("s3://secretive/x", f"{server.address}/bucket/x?X-Amz-Signature=hunter3"):
        remote.configure("s3://secretive", **dead_link.options(), retry_config={"max_retries": 0})
        with pytest.raises(OSError, match=r".") as raised:
            mode.run(func, url)
        told = _whole_text(raised.value)
        for secret in (*server.secrets, "hunter", "Authorization"):
            assert secret not in told
    remote.configure("s3://secretive")


@pytest.mark.parametrize(
    "options", [{"nonsense": "SeCrEt"}, {"region": "x", "endpoint": "http://[SeCrEt"}]
)
def test_wrong_configuration(mode, options):
    """Options that make no store are a ValueError, which does not quote them."""
    remote.configure("az://wrong", account_name="a", **options)
    with pytest.raises(ValueError, match="cannot be reached as it is configured") as raised:
        mode.run(write_binary, "az://wrong/x", b"")
    remote.configure("az://wrong")
    assert "SeCrEt" not in _whole_text(raised.value)


def test_forbidden(mode, server):
    """What the store forbids is a PermissionError."""
    srun(write_binary, "s3://bucket/forbidden", b"")
    with pytest.raises(PermissionError) as raised:  # without a signature
        mode.run(read_binary, f"{server.address}/bucket/forbidden")
    assert raised.value.filename == f"{server.address}/bucket/forbidden"
