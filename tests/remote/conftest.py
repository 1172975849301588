"""An S3 server and an HTTP server on this machine, and URLs of stores that are empty."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from mt.aio import remote
from mt.aio.fs import read_binary, write_binary

SECRET = "SeCrEt+of/nobody"
OPTIONS = {"access_key_id": "AKIANOBODY", "secret_access_key": SECRET, "region": "us-east-1"}

# As real stores do, it keeps connections; the server that moto uses does not unless it is told.
SERVER = """
import logging, sys
from moto.server import main
from werkzeug.serving import WSGIRequestHandler

WSGIRequestHandler.protocol_version = "HTTP/1.1"
WSGIRequestHandler.log_request = lambda *args: None
main(["-H", "127.0.0.1", "-p", "0"])
"""


class Server:
    """A moto server in a process of its own, with one bucket."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "ignore", "-u", "-c", SERVER]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        lines = iter(self.process.stderr.readline, "")
        self.address = next(
            found[0] for line in lines if (found := re.search(r"http://[\d.:]+", line))
        )
        self.process.stderr.close()  # nothing more of interest is said
        self.place = ("127.0.0.1", int(self.address.rpartition(":")[2]))
        self.ask("PUT", "bucket")

    def ask(self, method: str, path: str) -> str:
        """Ask the server something itself, past mt.aio."""
        request = urllib.request.Request(f"{self.address}/{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    secrets = (SECRET, "AKIANOBODY")

    def uploads(self) -> int:
        """How many uploads in parts have been begun, and neither ended nor aborted."""
        return self.ask("GET", "bucket?uploads").count("<UploadId>")

    def options(self, **client: Any) -> dict[str, Any]:
        """What `configure` needs for this server."""
        client_options = {"allow_http": True, **client}
        return {"endpoint": self.address, "client_options": client_options, **OPTIONS}

    def kill(self) -> None:
        """End it, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()


class Link:
    """A way to a server that can be frozen and cut, as cables and processes are."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.ends: set[socket.socket] = set()
        self.flowing = threading.Event()
        self.flowing.set()
        self._start(self._accept)

    def options(self, **client: Any) -> dict[str, Any]:
        """What `configure` needs to go this way."""
        return {**self.server.options(**client), "endpoint": self.address}

    def stop(self) -> None:
        """Freeze it: connections are accepted, nothing is answered."""
        self.flowing.clear()

    def go_on(self) -> None:
        """End the freezing."""
        self.flowing.set()

    def drop(self) -> None:
        """Break the connections that there are; new ones can be made."""
        for end in list(self.ends):
            with contextlib.suppress(OSError):  # closed just now
                end.shutdown(socket.SHUT_RDWR)
        self.go_on()

    def cut(self) -> None:
        """Break the connections; new ones are refused."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # which ends the waiting in `accept`
        self.listener.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.server.place)
            self.ends |= {near, far}
            self._start(self._pump, near, far)
            self._start(self._pump, far, near)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                self.flowing.wait()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.ends.discard(source)
        source.close()

    @staticmethod
    def _start(func: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=func, args=args, daemon=True).start()


# Not every store in every mode: the modes differ here, in what runs where, and the stores there, in
# what is answered. In synchronous mode there is each of them, and in each mode one.
_LEFT_OUT = {("async", "memory"), ("uvloop", "s3"), ("uvloop", "gs"), ("async", "az")}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave such tests out."""
    out = [each for each in items if _is_left_out(each)]
    left_out = set(out)
    items[:] = [each for each in items if each not in left_out]
    config.hook.pytest_deselected(items=out)


def _is_left_out(item: pytest.Item) -> bool:
    if Path(__file__).parent not in item.path.parents or not hasattr(item, "callspec"):
        return False
    params = item.callspec.params
    mode = params.get("mode", params.get("async_mode"))
    return (mode, params.get("root", params.get("store"))) in _LEFT_OUT


@pytest.fixture(scope="session", autouse=True)
def _runtime_started() -> None:
    """Have obstore's threads started, whose descriptors stay with the process."""
    obstore.put(MemoryStore(), "warm", b"")


@pytest.fixture(scope="session", autouse=True)  # before a first test counts the children
def server() -> Iterator[Server]:
    """The server of all tests that leave it alive."""
    started = Server()
    remote.configure("s3://bucket", **started.options())
    yield started
    remote.configure("s3://bucket")
    started.kill()


@pytest.fixture(scope="session")
def clouds() -> Any:
    """The package that stands beside this file."""
    file = Path(__file__).parent / "clouds" / "__init__.py"
    spec = importlib.util.spec_from_file_location("clouds_of_the_tests", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its modules look for each other
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def link(server: Server) -> Iterator[Link]:
    """A way to the server for one test, which may freeze and cut it: `s3://bucket/own/...`."""
    way = Link(server)
    remote.configure("s3://bucket/own", **way.options())
    yield way
    remote.configure("s3://bucket/own")
    remote.close()
    way.cut()


@pytest.fixture(scope="session")
def dead_link(server: Server) -> Link:
    """A way that has been cut."""
    way = Link(server)
    way.cut()
    return way


@pytest.fixture(autouse=True)
def _no_connection_left() -> Iterator[None]:
    """Close what a test has left idle, or it would count as left behind."""
    yield
    remote.close()


@pytest.fixture
def fresh(tmp_path: Path) -> str:
    """A name that no other test has."""
    return f"{tmp_path.parent.name}-{tmp_path.name}"


@pytest.fixture
def s3(fresh: str) -> str:
    """The URL of an empty folder in the S3 server."""
    return f"s3://bucket/{fresh}"


@pytest.fixture(params=["memory", "s3"])
def root(request: pytest.FixtureRequest, fresh: str) -> str:
    """The URL of an empty folder, in the memory and in the S3 server."""
    return f"s3://bucket/{fresh}" if request.param == "s3" else f"memory://{fresh}/folder"


@pytest.fixture
def only_the_first(mode: Any) -> Callable[[str], None]:
    """Check that of two exclusive writes to a URL the second one is refused."""

    def check(url: str) -> None:
        mode.run(write_binary, url, b"1", exclusive=True)
        with pytest.raises(FileExistsError) as raised:
            mode.run(write_binary, url, b"2", exclusive=True)
        assert raised.value.filename == url
        assert mode.run(read_binary, url) == b"1"

    return check


class _Quiet(SimpleHTTPRequestHandler):
    wbufsize = -1

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Callable[[str, bytes], str]]:
    """Serve a folder: a function that puts a file there and gives its URL."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()

        def put(name: str, content: bytes) -> str:
            (folder / name).write_bytes(content)
            return f"http://127.0.0.1:{served.server_port}/{name}"

        yield put
        served.shutdown()
        thread.join()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have temporary folders made where the test can see them; none is left."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert os.listdir(folder) == []
