"""The stores: how each is reached, and the ones that are open.

A store is made when the first URL leads to it, and kept, as it keeps connections. What is
configured decides over what the environment says, and that over the defaults here.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from mt.aio.remote._error import scrub

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("az", "gs", "http", "https", "memory", "s3")

# Arbitrary, all of them. A server that is silent for so long has failed; a request as a whole may
# take any time, as the object may be large.
CLIENT = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "1 day"}
RETRIES = 6  # with pauses that grow from 0.1 s; several seconds in all
RETRY_SECONDS = 60  # no further one is begun after that
_MOST_STORES = 64

_CLOUDS = {"s3": "AWS_", "az": "AZURE_", "gs": "GOOGLE_"}
# What obstore takes from the environment only where it is given no client options at all.
_CLIENT_NAMES = (
    *("allow_http", "allow_invalid_certificates", "connect_timeout", "proxy_url"),
    *("proxy_ca_certificate", "proxy_excludes", "read_timeout", "timeout"),
)
_SECRET = ("key", "secret", "token", "sas", "password", "credential")

_configured: dict[str, dict[str, Any]] = {}
_stores: dict[str, ObjectStore] = {}
_memories: dict[str, ObjectStore] = {}  # these are their content, so they are never dropped
_lock = threading.Lock()


def configure(prefix: str, **options: Any) -> None:
    """Say how the store is reached that URLs of a beginning lead to.

    What is not said here comes from the environment, as obstore reads it (`AWS_ACCESS_KEY_ID`,
    `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME` and so on).
    It takes effect at the next call that has such a URL; nothing is asked of the store here.

    Args:
        prefix: `"s3://"` for all S3 URLs, `"s3://bucket"` or `"s3://bucket/folder"`. It ends
            where a part of the URL does; of several that fit, the longest counts, alone.
        **options: arguments of obstore's `S3Store`, `GCSStore`, `AzureStore` or `HTTPStore`, such
            as `endpoint`, `region`, `access_key_id`, `secret_access_key`, `credential_provider`,
            `client_options`, `retry_config`. `store=` instead gives a ready obstore store of the
            bucket. None at all: what was configured for this prefix is forgotten.

    Raises:
        ValueError: if the prefix begins with no known scheme, or `store` is not alone; that an
            option is unknown is said by the call that uses it
    """
    scheme, mark, rest = prefix.partition("://")
    if not mark or scheme.lower() not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise ValueError(f"a prefix begins with one of {known}; this one does not")
    if "store" in options and len(options) > 1:
        raise ValueError("store= is a ready store, and takes no further options")
    key = f"{scheme.lower()}://{rest.rstrip('/')}"
    with _lock:
        if options:
            _configured[key] = dict(options)
        else:
            _configured.pop(key, None)
        _stores.clear()


def close() -> None:
    """Drop all stores and their idle connections; the next use makes them anew.

    What is configured stays, and so does what has been written to `memory://`. Calls under way
    are not disturbed.
    """
    with _lock:
        _stores.clear()


def store_of(scheme: str, root: str, url: str) -> ObjectStore:
    """Give the store of a bucket, made if need be.

    Args:
        scheme: in lower case.
        root: the bucket, or an HTTP server's address.
        url: the whole URL, by which the options are found.

    Raises:
        ValueError: the store cannot be made as it is configured.
    """
    with _lock:
        prefix = _longest_prefix(scheme, url)
        options = {} if prefix is None else _configured[prefix]
        if "store" in options:
            return options["store"]  # type: ignore[no-any-return]  # what it is was the caller's choice
        if scheme == "memory":
            return _memory(root)
        key = f"{prefix} {scheme}://{root}"
        store = _stores.get(key)
        if store is None:
            if len(_stores) >= _MOST_STORES:
                del _stores[next(iter(_stores))]
            store = _stores[key] = _make(scheme, root, options)
        return store


def secrets() -> set[str]:
    """Give the values of options that may be secret, for error texts to leave them out."""
    with _lock:
        every = [options.copy() for options in _configured.values()]
    every += [options.get("config") or {} for options in every]
    pairs = [pair for options in every for pair in options.items()]
    pairs += [pair for pair in os.environ.items() if pair[0].startswith(tuple(_CLOUDS.values()))]
    return {
        value
        for name, value in pairs
        if isinstance(value, str) and any(word in name.lower() for word in _SECRET)
    }


def _longest_prefix(scheme: str, url: str) -> str | None:
    if not _configured:
        return None
    whole = f"{scheme}://{url.partition('://')[2]}/"
    fitting = [p for p in _configured if whole.startswith(p if p.endswith("://") else p + "/")]
    return max(fitting, key=len, default=None)


def _memory(root: str) -> ObjectStore:
    from obstore.store import MemoryStore

    return _memories.setdefault(root, MemoryStore())


def _client_of_environment(scheme: str) -> dict[str, str]:
    prefix = _CLOUDS.get(scheme)
    names = {} if prefix is None else {name: prefix + name.upper() for name in _CLIENT_NAMES}
    return {name: os.environ[each] for name, each in names.items() if each in os.environ}


def _make(scheme: str, root: str, options: dict[str, Any]) -> ObjectStore:
    from datetime import timedelta

    from obstore import store as kinds

    retries = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
    client: dict[str, Any] = {**CLIENT, **_client_of_environment(scheme)}
    if scheme == "http":
        client["allow_http"] = True
    options = {
        **options,
        "client_options": {**client, **(options.get("client_options") or {})},
        "retry_config": {**retries, **(options.get("retry_config") or {})},
    }
    try:
        if scheme in {"http", "https"}:
            return kinds.HTTPStore.from_url(f"{scheme}://{root}", **options)
        kind: Any = {"s3": kinds.S3Store, "gs": kinds.GCSStore, "az": kinds.AzureStore}[scheme]
        return kind(root, **options)  # type: ignore[no-any-return]  # one of the three
    except Exception as exc:  # noqa: BLE001 - obstore's errors share no useful base
        text = scrub(str(exc), {str(value) for value in options.values()})
    # Outside of the handler, so that the original, with all that it tells, is not its context.
    raise ValueError(f"{scheme}:// cannot be reached as it is configured: {text}")
