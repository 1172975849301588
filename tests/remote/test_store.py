"""Which store a URL leads to, and how it is reached."""

from __future__ import annotations

import subprocess
import sys

import obstore
import pytest
from obstore.store import AzureStore, GCSStore, HTTPStore, MemoryStore, S3Store

from mt.aio import remote
from mt.aio.core import srun
from mt.aio.fs import read_binary, read_text, write_binary
from mt.aio.remote import _store
from mt.aio.remote._place import locate


@pytest.fixture(autouse=True)
def _as_before():
    """Forget what a test has configured."""
    before = dict(_store._configured)
    yield
    _store._configured.clear()
    _store._configured.update(before)


@pytest.mark.parametrize(
    ("url", "kind", "key"),
    [
        ("s3://b/k/x", S3Store, "k/x"),
        ("S3://b/k", S3Store, "k"),
        ("gs://b/k", GCSStore, "k"),
        ("az://b/k", AzureStore, "k"),
        ("memory://b/k", MemoryStore, "k"),
        ("http://h:1/k", HTTPStore, "k"),
        ("https://h/k#part", HTTPStore, "k"),
        ("https://h/k?signature=x", HTTPStore, ""),
    ],
)
def test_schemes(url, kind, key):
    """Each scheme has its kind of store; the rest after the bucket is the key."""
    remote.configure("az://", account_name="a")
    place = locate(url)
    assert isinstance(place.store, kind)
    assert (place.key, place.url) == (key, url)


def test_longest_prefix_counts(fresh):
    """Of several configured prefixes the longest counts, and only whole parts of a URL do."""
    stores = {}
    for prefix in ("s3://", "s3://b", "s3://b/x", "s3://b/x/y/"):
        stores[prefix] = MemoryStore()
        remote.configure(prefix, store=stores[prefix])
    for url, prefix in (
        ("s3://c/x", "s3://"),
        ("s3://bb/x", "s3://"),
        ("s3://b/k", "s3://b"),
        ("s3://b/xy", "s3://b"),
        ("s3://b/x", "s3://b/x"),
        ("s3://b/x/yy", "s3://b/x"),
        ("S3://b/x/y/z", "s3://b/x/y/"),
    ):
        srun(write_binary, url, url.encode())
        key = url.partition("://")[2].partition("/")[2]
        assert bytes(obstore.get(stores[prefix], key).bytes()) == url.encode()


def test_configured_anew(mode):
    """A prefix that is configured anew leads elsewhere from the next call on."""
    first, second = MemoryStore(), MemoryStore()
    remote.configure("s3://b", store=first)
    mode.run(write_binary, "s3://b/k", b"1")
    remote.configure("s3://b", store=second)
    with pytest.raises(FileNotFoundError):
        mode.run(read_binary, "s3://b/k")
    remote.configure("s3://b", store=first)
    assert mode.run(read_binary, "s3://b/k") == b"1"


def test_stores_are_kept():
    """Two calls use one store, and so its connections; `close` ends that."""
    store = locate("s3://b/k").store
    assert locate("s3://b/x").store is store
    remote.close()
    assert locate("s3://b/k").store is not store


def test_not_too_many_stores_are_kept():
    """URLs of any number of servers leave a bounded number of stores."""
    for number in range(_store._MOST_STORES + 5):
        locate(f"http://host-{number}/k")
    assert len(_store._stores) == _store._MOST_STORES


def test_memory_outlives_closing():
    """What is in the memory stays when stores are closed."""
    srun(write_binary, "memory://kept/x", b"1")
    remote.close()
    assert srun(read_binary, "memory://kept/x") == b"1"


def test_defaults_are_completed():
    """Options of the client and of retries are added to the defaults, not put in their place."""
    remote.configure("s3://b", client_options={"read_timeout": "1s"}, retry_config={})
    store = locate("s3://b/k").store
    assert store.client_options["read_timeout"] == "1s"
    assert store.client_options["connect_timeout"] == "5s"
    assert store.retry_config["max_retries"] == _store.RETRIES


@pytest.mark.parametrize("prefix", ["bucket", "ftp://x", "s3:/bucket", ""])
def test_wrong_prefix(prefix):
    """A prefix begins with a scheme that is known."""
    with pytest.raises(ValueError, match="begins with one of"):
        remote.configure(prefix, region="x")


def test_store_stands_alone():
    """A ready store takes no further options."""
    with pytest.raises(ValueError, match="no further options"):
        remote.configure("s3://b", store=MemoryStore(), region="x")


def test_configure_returns_nothing_secret():
    """What was configured is not to be had from the public names."""
    assert sorted(remote.__all__) == ["close", "configure"]


@pytest.mark.slow
def test_environment(server, s3, not_counted):
    """A store that nobody has configured is reached as the environment says."""
    srun(write_binary, f"{s3}/x", b"from the environment")
    program = (
        "from mt.aio.core import srun; from mt.aio.fs import read_text\n"
        f"print(srun(read_text, {s3 + '/x'!r}))"
    )
    environment = {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "us-east-1",
        "PYTHONPATH": ":".join(sys.path),
    }
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert not ended.stderr
    assert ended.stdout == "from the environment\n"
    assert srun(read_text, f"{s3}/x") == "from the environment"
