"""What every host has to keep, wherever its children live: one suite for all."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import subprocess
import sys
import threading

import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcess, BgProcessPool
from mt.aio.proc.lowlevel import ChildClosedError, ChildDiedError, ChildRaisedError

# The near end has an event loop in a thread of its own.
pytestmark = pytest.mark.mt_aio_loop_elsewhere


def test_echo(start, mode):
    """A message comes back, in every mode."""
    process = start(BgProcess)
    assert mode.run(process.send, {"a": [1, (2,)]}) == {"a": [1, (2,)]}
    assert process.pid != os.getpid()


def test_state_is_kept(start):
    """The instance stays the same from message to message."""

    class Counter(BgProcess):
        count = 0

        def child_handle_message(self, msg):
            self.count += msg
            return self.count

    process = start(Counter)
    assert [srun(process.send, 2) for _ in range(3)] == [2, 4, 6]


def test_sends_at_once_are_handled_in_order(start):
    """A hundred sends at once are handled first in, first out, and each gets its own reply."""

    class Order(BgProcess):
        def __init__(self, **options):
            self.seen = []
            super().__init__(**options)

        def child_handle_message(self, msg):
            self.seen.append(msg)
            return self.seen if msg == "all" else msg

    async def main():
        process = start(Order)
        replies = await asyncio.gather(*(process.send(number) for number in range(100)))
        return replies, await process.send("all")

    replies, seen = asyncio.run(main())
    assert replies == list(range(100))
    assert seen == [*range(100), "all"]


def test_output_comes_before_the_reply(start):
    """All that a handler printed is there, in order, when its reply is."""

    def talk():
        for number in range(200):
            print(number)  # noqa: T201 - that is what is tried
        os.write(2, b"native\n")

    process = start()
    srun(process.send, (talk,))
    printed = "".join(text for stream, text in process.written if stream == "stdout")
    assert printed.split() == [str(number) for number in range(200)]
    assert ("stderr", "native\n") in process.written


def test_output_is_live(start, gate):
    """What a handler prints arrives while it goes on."""
    process = start()

    async def main():
        task = asyncio.ensure_future(process.send((gate,)))
        await process.begins()
        assert not task.done()
        gate.open()
        await task

    asyncio.run(main())
    assert process.written == [("stdout", "begun\n")]


def test_exceptions(start):
    """What a handler raises is raised, with its call stack; the child goes on."""
    process = start()

    def fail():
        class TwoArgumentsError(Exception):
            def __init__(self, one, two):
                super().__init__(f"{one} and {two}")

        raise TwoArgumentsError("one", "two")

    with pytest.raises(ChildRaisedError) as caught:
        srun(process.send, (fail,))
    text, exc, lines = caught.value.args
    assert "Child raised" in text
    assert str(exc).endswith("TwoArgumentsError: one and two")
    assert any("in fail" in line for line in lines)
    assert srun(process.send, (len, "abc")) == 3


def test_an_exception_that_cannot_be_unpickled(start):
    """Its text has to do."""
    process = start()

    def fail():
        class StubbornError(Exception):
            def __reduce__(self):
                return int, ("no number",)

        raise StubbornError("as a mule")

    with pytest.raises(ChildRaisedError, match="as a mule"):
        srun(process.send, (fail,))


def test_a_reply_that_cannot_be_pickled(start):
    """The child says so, and goes on."""
    process = start()
    with pytest.raises(ChildRaisedError, match="cannot be pickled"):
        srun(process.send, (threading.Lock,))
    assert srun(process.send, (len, "abc")) == 3


def test_time_out_then_the_next_send(start, gate, mode):
    """A time-out does not wait for the handler; its late reply goes to nobody else."""
    process = start()
    mode.run(process.send, (len, ""))
    with pytest.raises(queue.Empty):
        mode.run(process.send, (gate,), 0.05)
    gate.open()
    assert mode.run(process.send, (len, "abc")) == 3


def test_cancel_then_the_next_send(start, gate):
    """A cancelled send does not wait for the handler; its late reply goes to nobody else."""
    process = start()

    async def main():
        task = asyncio.ensure_future(process.send((gate,)))
        await process.begins()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.open()
        return await process.send((len, "abc"))

    assert asyncio.run(main()) == 3


def test_a_child_that_is_killed(start):
    """Who waits is told how it ended, and so is who sends later."""
    process = start()
    with pytest.raises(ChildDiedError, match="SIGKILL") as caught:
        srun(process.send, (lambda: os.kill(os.getpid(), signal.SIGKILL),))
    assert caught.value.exitcode == -9
    with pytest.raises(ChildDiedError):
        srun(process.send, (len, ""))
    process.restart()
    assert srun(process.send, (len, "ab")) == 2


def test_close_while_busy(start, gate):
    """Who waits is told at once; the child is killed when its time is up."""
    process = start()

    async def main():
        task = asyncio.ensure_future(process.send((gate,)))
        await process.begins()
        closing = asyncio.ensure_future(process.aclose(600))
        with pytest.raises(ChildClosedError):
            await task
        assert not closing.done()
        assert process.exitcode is None
        await process.aclose(0.1)
        await closing

    asyncio.run(main())
    assert process.exitcode == -9


def test_close_while_a_message_is_on_its_way(start):
    """Those whose messages have not even arrived are told, too, and the child ends by itself."""
    process = start()

    async def main():
        await process.send((len, ""))
        sent = [asyncio.ensure_future(process.send((len, "abc"))) for _ in range(20)]
        await asyncio.sleep(0)
        await process.aclose(60)
        return await asyncio.gather(*sent, return_exceptions=True)

    assert {type(each) for each in asyncio.run(main())} <= {ChildClosedError, int}
    assert process.exitcode == 0


def test_close_twice(start):
    """Closing is fine when it has been done; what the child ended with is known."""
    process = start()
    srun(process.send, (len, ""))
    process.close(60)
    process.close(60)
    assert process.exitcode == 0
    with pytest.raises(ChildClosedError):
        srun(process.send, (len, ""))


def test_a_large_array(start):
    """16 MiB go there and back, and may be written to here."""
    numpy = pytest.importorskip("numpy")
    process = start()
    array = numpy.arange(2 << 20, dtype="f8")
    reply = srun(process.send, (numpy.negative, array))
    assert (reply == -array).all()
    reply[0] = 1


def test_a_stream(start, mode):
    """Parts come one after the other; leaving early stops the child's generator."""
    process = start()
    mode.run(process.send, (len, ""))

    def parts():
        yield from range(10**9)

    async def body(context_vars):
        found = []
        stream = process.stream((parts,), 10, context_vars=context_vars)
        async for part in stream:
            found.append(part)
            if part == 20:
                break
        await stream.aclose()
        return found, await process.send((len, "ab"), context_vars=context_vars)

    assert mode.run(body) == (list(range(21)), 2)


def test_a_pool(host):
    """A pool's members live there, too."""

    async def main():
        async with BgProcessPool(BgProcess, 2, host=host) as pool:
            return [reply async for reply in pool.map(range(20))]

    assert asyncio.run(main()) == list(range(20))


_SCRIPT = """
from mt.aio.core import srun
from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess
class Doubler(BgProcess):
    def child_handle_message(self, msg):
        return 2 * msg
doubler = Doubler(host={})
print(srun(doubler.send, 4))
"""


@pytest.mark.parametrize("on", ["local", pytest.param("dask", marks=pytest.mark.slow)])
def test_a_class_of_a_script(on, tmp_path, request):
    """A class of `__main__` works, as does a child that is left to the interpreter's end."""
    where = None
    if on == "dask":
        where = f"DaskHost({request.getfixturevalue('cluster').address!r})"
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT.format(where))
    command = [sys.executable, "-W", "ignore", str(script)]
    # asyncio's debug mode says which steps took long, be they dask's own.
    calm = os.environ | {"PYTHONASYNCIODEBUG": "", "PYTHONDEVMODE": ""}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, env=calm
    )
    assert (done.stdout, done.stderr) == ("8\n", "")
