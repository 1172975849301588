"""What every host has to keep, wherever its children live: one suite for all."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import threading
import time

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


def test_output_is_live(start):
    """What a handler prints arrives while it goes on."""

    def talk():
        print("begin", flush=True)  # noqa: T201 - likewise
        time.sleep(30)

    process = start()
    srun(process.send, (len, ""))

    async def main():
        task = asyncio.ensure_future(process.send((talk,)))
        async with asyncio.timeout(10):
            while not process.written:
                await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(main())
    assert process.written == [("stdout", "begin\n")]


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


@pytest.fixture
def busy(tmp_path):
    """Give a message that keeps a child busy until something is written into a file, and it."""
    gate = tmp_path / "gate"

    def wait(path):
        while not os.path.exists(path):
            time.sleep(0.005)

    return (wait, str(gate)), gate


def test_time_out_then_the_next_send(start, mode, busy):
    """A time-out comes while the child is busy, and its late reply goes to nobody else."""
    process = start()
    mode.run(process.send, (len, ""))
    message, gate = busy
    with pytest.raises(queue.Empty):
        mode.run(process.send, message, 0.1)
    gate.touch()
    assert mode.run(process.send, (len, "abc")) == 3


def test_cancel_then_the_next_send(start, busy):
    """A cancelled send ends while the child is busy; its late reply goes to nobody else."""
    process = start()
    message, gate = busy

    async def main():
        await process.send((len, ""))
        task = asyncio.ensure_future(process.send(message))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.touch()
        return await process.send((len, "abc"))

    assert asyncio.run(main()) == 3


def test_a_child_that_is_killed(start):
    """Who waits is told how it ended, and so is who sends later."""
    process = start()
    begin = time.monotonic()
    with pytest.raises(ChildDiedError, match="SIGKILL") as caught:
        srun(process.send, (lambda: os.kill(os.getpid(), signal.SIGKILL),))
    assert caught.value.exitcode == -9
    assert time.monotonic() - begin < 10
    with pytest.raises(ChildDiedError):
        srun(process.send, (len, ""))
    process.restart()
    assert srun(process.send, (len, "ab")) == 2


def test_close_while_busy(start):
    """Who waits is told at once; the child is killed when its time is up."""
    process = start()

    async def main():
        await process.send((len, ""))
        task = asyncio.ensure_future(process.send((time.sleep, 60)))
        await asyncio.sleep(0.1)
        ended = []
        closing = asyncio.ensure_future(process.aclose(0.5))
        task.add_done_callback(lambda _: ended.append(("told", process.exitcode)))
        closing.add_done_callback(lambda _: ended.append(("closed", process.exitcode)))
        async with asyncio.timeout(20):
            with pytest.raises(ChildClosedError):
                await task
            await closing
        return ended

    assert asyncio.run(main()) == [("told", None), ("closed", -9)]


def test_close_twice(start):
    """Closing is fine when it has been done; what the child ended with is known."""
    process = start()
    srun(process.send, (len, ""))
    process.close()
    process.close()
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


def test_a_class_of_a_script(host, tmp_path, request):
    """A class of `__main__` works, as does a child that is left to the interpreter's end."""
    import subprocess
    import sys

    if "direct" in request.node.name:
        address = request.getfixturevalue("cluster").address
        where = f"DaskHost({address!r}, direct={host.direct})"
    elif "local" in request.node.name:
        where = "None"
    else:
        pytest.skip("nothing new")
    script = tmp_path / "script.py"
    script.write_text(
        "from mt.aio.core import srun\n"
        "from mt.aio.dask import DaskHost\n"
        "from mt.aio.proc import BgProcess\n"
        "class Doubler(BgProcess):\n"
        "    def child_handle_message(self, msg):\n"
        "        return 2 * msg\n"
        f"doubler = Doubler(host={where})\n"
        "print(srun(doubler.send, 4))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("8\n", "")
