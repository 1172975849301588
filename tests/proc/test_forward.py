"""Log records, warnings and context variables that cross over, where they are wanted."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import sys
import threading
import warnings

import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcess

LIMIT = 10


@pytest.fixture
def forwarding():
    """Start a process that forwards; it calls what it is told to call."""
    started = []

    class Caller(BgProcess):
        def child_handle_message(self, msg):
            func, *args = msg
            return func(*args)

    def start(*forward):
        started.append(Caller(forward=forward))
        return started[-1]

    yield start
    for process in started:
        process.close()


def test_log_records(mode, forwarding, caplog):
    """They come to the loggers of their names, before the reply, with exceptions as text."""

    def log():
        logger = logging.getLogger("a.package")
        logger.debug("too low")
        logger.warning("number %d", 5)
        try:
            1 / 0  # noqa: B018 - it raises
        except ZeroDivisionError:
            logger.exception("failed")

    process = forwarding("logging")
    mode.run(process.send, (log,), recv_timeout=LIMIT)
    records = [r for r in caplog.records if r.name == "a.package"]  # not asyncio's complaints
    assert [(r.levelname, r.getMessage()) for r in records] == [
        ("WARNING", "number 5"),
        ("ERROR", "failed"),
    ]
    assert "ZeroDivisionError" in records[1].exc_text
    assert records[0].process == process.pid


def test_the_levels_of_this_process_apply(forwarding, caplog):
    """A logger that is not interested here stays silent."""
    caplog.set_level(logging.ERROR, "a.package")
    process = forwarding("logging")
    srun(process.send, (lambda: logging.getLogger("a.package").warning("no"),))
    assert caplog.records == []


def test_log_records_from_threads(forwarding, caplog):
    """Frames of several threads do not get mixed up."""

    def log():
        def work(name):
            for n in range(50):
                logging.getLogger(name).warning("%d %s", n, "x" * 500)

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return "done"

    process = forwarding("logging")
    assert srun(process.send, (log,), recv_timeout=LIMIT) == "done"
    assert len(caplog.records) == 200


def _unloadable():
    raise LookupError("not here")


class Unloadable:
    """What can be pickled, and not unpickled."""

    def __reduce__(self):
        """Be a call that fails."""
        return _unloadable, ()


def test_a_record_that_cannot_be_loaded(mode, forwarding, caplog):
    """The log says so; the reply behind it comes. It was lost if both were read at once."""

    def log():
        logging.getLogger("a").warning("odd", extra={"odd": Unloadable()})
        logging.getLogger("a").warning("fine")
        return "done"

    process = forwarding("logging")
    assert mode.run(process.send, (log,), recv_timeout=LIMIT) == "done"
    records = [r for r in caplog.records if r.name in {"a", "mt.aio.proc"}]
    assert [r.getMessage() for r in records] == ["error in a handler of 'told'", "fine"]
    assert isinstance(records[0].exc_info[1], LookupError)


def test_an_interrupt_while_a_record_is_written(forwarding, caplog):
    """The handler gets it, as soon as it has been."""

    def log():
        from mt.aio.proc._channel import Channel

        write = Channel.write

        def interrupted(self, *args):
            Channel.write = write
            os.kill(os.getpid(), signal.SIGINT)
            self.write(*args)

        Channel.write = interrupted
        try:
            logging.getLogger("a").warning("written")
        except KeyboardInterrupt:
            return "interrupted"

    process = forwarding("logging")
    assert srun(process.send, (log,), recv_timeout=LIMIT) == "interrupted"
    assert [r.getMessage() for r in caplog.records] == ["written"]


def test_a_record_after_the_end(mode, forwarding):
    """Nobody listens any more, so it is dropped in silence; each end was full of complaints."""
    process = forwarding("logging")
    written = []
    process.on_write = lambda *args: written.append(args)

    def log_at_exit():
        import atexit

        atexit.register(logging.getLogger("a").warning, "the end")

    mode.run(process.send, (log_at_exit,), recv_timeout=LIMIT)
    mode.run(process.aclose, LIMIT)
    assert process.exitcode == 0
    assert written == []


def test_warnings(mode, forwarding, monkeypatch):
    """They are issued here, with their category."""
    monkeypatch.setattr(sys, "warnoptions", [])  # the child follows them; -W error would raise

    def warn():
        warnings.warn("careful", BytesWarning, stacklevel=1)

    process = forwarding("warnings")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mode.run(process.send, (warn,), recv_timeout=LIMIT)
    assert [(str(w.message), w.category) for w in caught] == [("careful", BytesWarning)]


def test_nothing_by_default(mode, forwarding, caplog):
    """A record goes where the child's logging sends it."""
    process = forwarding()
    mode.run(process.send, (lambda: logging.getLogger("a").warning("no"),), recv_timeout=LIMIT)
    assert caplog.records == []


@pytest.fixture
def context_module(tmp_path, monkeypatch):
    """Give a module with a context variable that both sides can import."""
    (tmp_path / "context_of_mine.py").write_text(
        "import contextvars\nrequest = contextvars.ContextVar('request')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import context_of_mine

    yield context_of_mine
    sys.modules.pop("context_of_mine")


def _look():
    import context_of_mine

    return context_of_mine.request.get("not set")


def test_context_variables(mode, forwarding, context_module):
    """A handler sees the value that its message's sender saw; the next message has its own."""
    process = forwarding("context_of_mine:request")

    async def body(context_vars):
        unset = await process.send((_look,), context_vars=context_vars)
        context_module.request.set("first")
        return unset, await process.send((_look,), context_vars=context_vars)

    assert contextvars.copy_context().run(mode.run, body) == ("not set", "first")
    assert mode.run(process.send, (_look,)) == "not set"


def test_context_variables_of_two_tasks(forwarding, context_module):
    """Each task's own."""
    process = forwarding("context_of_mine:request")

    async def one(name):
        context_module.request.set(name)
        return await process.send((_look,))

    async def body():
        return await asyncio.gather(*[one(n) for n in range(5)])

    assert asyncio.run(body()) == list(range(5))


def test_context_variables_in_a_stream(mode, forwarding, context_module):
    """All parts are made in the same context."""
    process = forwarding("context_of_mine:request")

    def parts():
        return (_look() for _ in range(3))

    async def body(context_vars):
        context_module.request.set("here")
        return [p async for p in process.stream((parts,), context_vars=context_vars)]

    assert contextvars.copy_context().run(mode.run, body) == ["here"] * 3


@pytest.mark.parametrize(
    ("name", "error"),
    [("loging", ValueError), ("no_module:x", ImportError), ("sys:no_variable", AttributeError)],
)
def test_what_cannot_be_forwarded(name, error):
    """It is refused before anything is started."""
    with pytest.raises(error):
        BgProcess(forward=[name])


@pytest.mark.usefixtures("not_counted")
def test_a_child_imports_little(run_program, tmp_path):
    """One that forwards nothing has imported none of what would slow down its start."""
    (tmp_path / "looker_of_mine.py").write_text(
        "import sys\n"
        "from mt.aio.proc import BgProcess\n"
        "class Looker(BgProcess):\n"
        "    def child_handle_message(self, msg):\n"
        "        return [name for name in msg if name in sys.modules]\n"
    )
    out = run_program("""
        from mt.aio.core import srun
        from looker_of_mine import Looker
        heavy = "asyncio socket multiprocessing logging typing enum re subprocess threading"
        with Looker() as looker:
            print(srun(looker.send, heavy.split()))
    """)
    assert out == "[]\n"
