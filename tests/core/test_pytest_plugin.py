"""The pytest plugin, used by other projects: run with pytester, in a process of its own."""

from __future__ import annotations

import importlib.util

import pytest

pytestmark = pytest.mark.slow
MODES = ["sync", "async", "uvloop"] if importlib.util.find_spec("uvloop") else ["sync", "async"]


@pytest.fixture
def outcomes(pytester, monkeypatch):
    """Run a test file with the plugin alone, and give its output and its outcomes."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the others take a second

    def run(source, ini="", *options):
        pytester.makeini(f"[pytest]\n{ini}")
        pytester.makepyfile(source)
        command = ["-p", "mt.aio.core.pytest_plugin", "-p", "no:cacheprovider", "-q", "-rA"]
        result = pytester.runpytest_subprocess(*command, *options)
        return result.stdout.str(), result.parseoutcomes()

    return run


def test_a_test_runs_in_every_mode(outcomes):
    """The fixture gives the mode and runs the function in it."""
    output, counts = outcomes(
        """
        from mt.aio.core import sleep

        async def double(x, *, plus, context_vars):
            await sleep(0, context_vars=context_vars)
            return 2 * x + plus, context_vars["async"]

        def test_double(mode):
            assert mode.run(double, 3, plus=1) == (7, mode.is_async)
            assert mode.context_vars == {"async": mode.is_async}
        """
    )
    assert counts["passed"] == len(MODES)
    assert all(f"test_double[{name}]" in output for name in MODES)


def test_async_mode_has_no_sync_run(outcomes):
    """The fixture async_mode is for what exists in asynchronous mode only."""
    _, counts = outcomes(
        """
        import asyncio

        async def nap(context_vars):
            assert asyncio.get_running_loop().get_debug()
            await asyncio.sleep(0)

        def test_nap(async_mode):
            async_mode.run(nap)
        """
    )
    assert counts == {"passed": len(MODES) - 1}


def test_without_uvloop(outcomes):
    """The other modes run; what would run on it is skipped, and says why."""
    output, counts = outcomes(
        """
        import sys
        from mt.aio.core import sleep

        sys.modules["uvloop"] = None  # cannot be imported

        def test_nap(mode):
            mode.run(sleep, 0)

        def test_that_has_not_begun(async_mode):
            assert async_mode.name == "async"
        """
    )
    assert counts == {"passed": 3, "skipped": 2}
    assert output.count("uvloop is not installed") == 2


def test_a_sync_run_that_makes_a_loop_fails(outcomes):
    """A loop that is hidden in a function is found, also if the function gets away with it."""
    output, counts = outcomes(
        """
        import asyncio

        async def hides(context_vars):
            if not context_vars["async"]:
                asyncio.run(asyncio.sleep(0))

        def test_hides(mode):
            mode.run(hides)
        """
    )
    assert counts == {"passed": len(MODES) - 1, "failed": 1}
    assert "an event loop was touched in sync mode, through Runner()" in output


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_sync_run_that_uses_a_loop_fails(outcomes, kind):
    """So does one that is there already: to run it, or to hand it work from the outside."""
    pytest.importorskip(kind, reason=f"{kind} is not installed")
    output, counts = outcomes(
        f"""
        import asyncio
        import pytest
        import {kind}

        async def makes(loop, context_vars):
            if not context_vars["async"]:
                {kind}.new_event_loop().close()

        async def runs(loop, context_vars):
            if not context_vars["async"]:
                loop.run_until_complete(asyncio.sleep(0))

        async def calls(loop, context_vars):
            if not context_vars["async"]:
                loop.call_soon_threadsafe(print)

        @pytest.mark.parametrize("body", [makes, runs, calls])
        def test_touches(mode, body):
            loop = {kind}.new_event_loop()
            try:
                mode.run(body, loop)
            finally:
                loop.close()
        """
    )
    assert counts == {"passed": 3 * (len(MODES) - 1), "failed": 3}
    loop = "Loop" if kind == "uvloop" else "_UnixSelectorEventLoop"
    for use in ("()", ".run_forever()", ".call_soon_threadsafe()"):
        assert f"an event loop was touched in sync mode, through {loop}{use}" in output


def test_a_loop_in_another_thread(outcomes):
    """A test that says so may hand work to one in sync mode, but still not make one."""
    output, counts = outcomes(
        """
        import asyncio
        import pytest
        import threading

        pytestmark = pytest.mark.mt_aio_loop_elsewhere

        @pytest.fixture
        def elsewhere():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            yield loop
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        async def calls(loop, context_vars):
            done = threading.Event()
            loop.call_soon_threadsafe(done.set)
            assert done.wait(50)

        async def makes(loop, context_vars):
            if not context_vars["async"]:
                asyncio.new_event_loop().close()

        @pytest.mark.parametrize("body", [calls, makes])
        def test_elsewhere(mode, body, elsewhere):
            mode.run(body, elsewhere)
        """
    )
    assert counts == {"passed": 2 * len(MODES) - 1, "failed": 1}
    assert "an event loop was touched in sync mode, through _UnixSelectorEventLoop()" in output


def test_a_sync_run_that_suspends_fails(outcomes):
    """It is srun's error that names the await."""
    output, counts = outcomes(
        """
        import asyncio

        async def suspends(context_vars):
            await asyncio.sleep(0)

        def test_suspends(mode):
            mode.run(suspends)
        """
    )
    assert counts == {"passed": len(MODES) - 1, "failed": 1}
    assert "suspends suspended in synchronous mode" in output


BLOCKS = """
    import time
    import pytest

    async def blocks(context_vars):
        time.sleep(0.4)

    {marker}
    def test_blocks(mode):
        mode.run(blocks)
"""


def test_a_run_that_blocks_the_loop_fails(outcomes):
    """The message has the stack; sync mode may block, having nobody to wait for it."""
    output, counts = outcomes(BLOCKS.format(marker=""), "mt_aio_blocked_ms = 100")
    assert counts == {"passed": 1, "failed": len(MODES) - 1}
    assert "the event loop was blocked for more than 100 ms" in output
    assert "time.sleep(0.4)" in output


@pytest.mark.parametrize("ms", [0, 60_000])
def test_another_limit_for_one_test(outcomes, ms):
    """The marker goes before the configuration."""
    marker = f"@pytest.mark.mt_aio_blocked_ms({ms})"
    _, counts = outcomes(BLOCKS.format(marker=marker), "mt_aio_blocked_ms = 100")
    assert counts == {"passed": len(MODES)}


def test_a_run_inside_a_running_loop_says_what_to_do(outcomes):
    """As in an `async def` test of another plugin; sync mode does not mind the loop."""
    output, counts = outcomes(
        """
        import asyncio
        from mt.aio.core import sleep

        def test_inside(mode):
            async def other_plugin():
                mode.run(sleep, 0)

            asyncio.run(other_plugin())
        """,
        "filterwarnings = error",
    )
    assert counts == {"passed": 1, "failed": len(MODES) - 1}
    assert "make the test a plain function, without 'async'" in output
    assert "never awaited" not in output


def test_failures_without_assert(outcomes, monkeypatch):
    """With `python -O` the plugin finds what it finds else.

    It asserted, which pytest keeps alive in tests, but not in a plugin of a namespace package.
    """
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    output, counts = outcomes(
        """
        import asyncio
        import time
        from mt.aio.core.pytest_plugin import Mode

        async def leaves(context_vars):
            if context_vars["async"]:
                asyncio.create_task(asyncio.sleep(60))
            else:
                asyncio.new_event_loop().close()

        async def blocks(context_vars):
            time.sleep(0.4)

        def test_leaves(mode):
            mode.run(leaves)

        def test_blocks():
            Mode("async", 100).run(blocks)
        """,
        "",
        "--assert=plain",
    )
    assert counts["failed"] == len(MODES) + 1
    for found in ("an event loop was touched", "tasks left open", "the event loop was blocked"):
        assert f"AssertionError: {found}" in output


def test_a_fixture_of_the_project_s_own_goes_first(outcomes):
    """Whoever has a fixture called `mode` keeps it."""
    _, counts = outcomes(
        """
        import pytest

        @pytest.fixture
        def mode():
            return "mine"

        def test_mine(mode):
            assert mode == "mine"
        """
    )
    assert counts == {"passed": 1}
