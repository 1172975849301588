"""What a child prints: on both descriptors, from whatever writes to them, before the reply."""

# ruff: noqa: T201 - the children of these tests print

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mt.aio.core import srun
from mt.aio.proc import BgProcess

LIMIT = 10


def test_python_prints(mode, start):
    """Reference: what is printed to stdout or stderr comes as ('write', stream, text)."""

    def prints():
        print("to out")
        print("to err", file=sys.stderr)

    process = start()
    mode.run(process.send, (prints,))
    assert sorted(process.written) == [("stderr", "to err\n"), ("stdout", "to out\n")]


def test_native_writes(mode, start):
    """What reaches the descriptors 1 and 2 counts, whoever writes it."""

    def writes():
        import ctypes

        os.write(1, b"native\n")
        os.write(2, b"native too\n")
        ctypes.CDLL(None).puts(b"from C")

    process = start()
    mode.run(process.send, (writes,))
    assert process.text("stdout") == "native\nfrom C\n"
    assert process.text("stderr") == "native too\n"


def test_a_subprocess_of_the_child(mode, start):
    """What it prints arrives, too."""
    process = start()
    mode.run(process.send, (subprocess.call, ["sh", "-c", "echo out; echo err >&2"]))
    assert process.text("stdout") == "out\n"
    assert process.text("stderr") == "err\n"


def test_all_of_it_before_the_reply(mode, start):
    """When `send` returns, everything printed for it has been handed over, lines or not."""

    def prints(number):
        print(number, end=" ")
        sys.stdout.write("no end")
        os.write(2, b"nor here")

    process = start()
    for number in range(20):
        mode.run(process.send, (prints, number))
        assert process.text("stdout") == f"{number} no end"
        assert process.text("stderr") == "nor here"
        process.written.clear()


def test_order_within_a_stream(mode, start):
    """Python and native writes to one stream arrive in the order in which they were made."""

    def prints():
        for number in range(300):
            print(number)
            os.write(1, b"-\n")

    process = start()
    mode.run(process.send, (prints,))
    expected = "".join(f"{number}\n-\n" for number in range(300))
    assert process.text("stdout") == expected


def test_text_is_decoded_safely(mode, start):
    """Invalid UTF-8 is replaced; a character in two writes is one character."""

    def writes():
        os.write(1, b"a\xff\xfeb \xe2\x82")
        os.write(1, b"\xac\n")
        print("lone \udcff surrogate, euro \u20ac")

    process = start()
    mode.run(process.send, (writes,))
    assert process.text("stdout") == (
        "a\ufffd\ufffdb \u20ac\nlone \\udcff surrogate, euro \u20ac\n"
    )


def test_a_character_cut_by_the_reply(mode, start):
    """Half a character waits for its other half."""
    process = start()
    mode.run(process.send, (os.write, 1, b"\xe2\x82"))
    mode.run(process.send, (os.write, 1, b"\xac"))
    assert process.text("stdout") == "\u20ac"


@pytest.mark.parametrize("size", [10, 70_000, 1_000_000])
def test_much_text(mode, start, size):
    """A megabyte does not block anything, and only whole lines are handed over."""

    def prints(size):
        data = b"".join(b"line %06d\n" % number for number in range(size // 12))
        while data:
            data = data[os.write(1, data) :]

    process = start()
    mode.run(process.send, (prints, size), recv_timeout=LIMIT)
    assert process.text("stdout") == "".join(f"line {n:06}\n" for n in range(size // 12))
    torn = [text[-12:] for _, text in process.written if not text.endswith("\n")]
    assert torn == [], "whole lines are promised"


def test_one_very_long_line(mode, start):
    """A line without an end is not kept for ever."""

    def prints():
        sys.stdout.write("x" * 500_000)

    process = start()
    mode.run(process.send, (prints,), recv_timeout=LIMIT)
    assert process.text("stdout") == "x" * 500_000


def test_the_default_prints_with_a_prefix(mode, start, capsys):
    """Who overrides nothing sees each line in this process's stdout."""

    class Printer(BgProcess):
        def child_handle_message(self, msg):
            print("one\ntwo")
            print("three", file=sys.stderr)

    mode.run(start(Printer).send, None)
    captured = capsys.readouterr()
    assert sorted(captured.out.splitlines()) == [
        "BgProcess (stderr): three",
        "BgProcess (stdout): one",
        "BgProcess (stdout): two",
    ]
    assert captured.err == ""


def test_a_raising_on_write(mode, start, caller, caplog):
    """It is logged; the reply comes all the same, and so does later output."""

    class Raising(caller):
        def on_write(self, stream, text):
            self.written.append((stream, text))
            raise LookupError("mine")

    process = start(Raising)
    assert mode.run(process.send, (print, "a")) is None
    assert mode.run(process.send, (print, "b")) is None
    assert process.text("stdout") == "a\nb\n"
    assert "LookupError: mine" in caplog.text


@pytest.mark.parametrize("end", ["\n", ""])
def test_an_interrupt_in_on_write(start, caller, end):
    """Ctrl-C while output is being shown costs nobody his reply."""
    import asyncio

    class Interrupted(caller):
        armed = False

        def on_write(self, stream, text):
            if self.armed:
                self.armed = False
                raise KeyboardInterrupt

    process = start(Interrupted)
    with asyncio.Runner() as runner:
        runner.run(process.send((len, "")))
        process.armed = True
        loop = runner.get_loop()
        task = loop.create_task(process.send((lambda: print("x", end=end) or 5,)))
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(task)
        assert loop.run_until_complete(asyncio.wait_for(task, LIMIT)) == 5


def test_a_closed_or_replaced_stdout(mode, start):
    """What a handler does to its streams does not keep it from replying."""

    def close():
        sys.stdout.close()

    def replace():
        sys.stdout = None
        sys.stderr = "nonsense"

    process = start()
    mode.run(process.send, (close,))
    mode.run(process.send, (replace,))
    mode.run(process.send, (os.close, 1))
    mode.run(process.send, (os.close, 2))
    assert mode.run(process.send, (len, "abc"), recv_timeout=LIMIT) == 3


def test_the_streams_behave(mode, start):
    """They can be asked and flushed like any others; there is nothing to read."""

    def ask():
        print("flushed", flush=True)
        return sys.stdout.isatty(), sys.stdout.fileno(), sys.stderr.fileno(), sys.stdin.read()

    process = start()
    assert mode.run(process.send, (ask,)) == (False, 1, 2, "")


def test_output_of_the_end(mode, start):
    """What is printed last before the death arrives before its error, with or without an end."""

    def dies():
        os.write(1, b"first\nlast words")
        os._exit(3)

    process = start()
    with pytest.raises(RuntimeError, match="last words"):
        mode.run(process.send, (dies,))
    assert process.text("stdout") == "first\nlast words"


def test_a_long_line_at_the_end(mode, start):
    """The error has the end of it, not all."""

    def dies():
        os.write(1, b"x" * 60_000 + b"last words")
        os._exit(3)

    process = start()
    with pytest.raises(RuntimeError, match=r"last words$") as caught:
        mode.run(process.send, (dies,))
    assert len(str(caught.value)) < 1200
    assert len(process.text("stdout")) == 60_010


def test_sending_from_on_write(start, caller):
    """In sync mode the one who would wait is the one who reads: that is an error, not a hang."""

    class Sending(caller):
        caught = None

        def on_write(self, stream, text):
            try:
                srun(self.send, (len, ""), recv_timeout=LIMIT)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
                self.caught = error

    process = start(Sending)
    srun(process.send, (print, "x"), recv_timeout=LIMIT)
    assert isinstance(process.caught, RuntimeError)
