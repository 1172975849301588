"""A pytest plugin: each test of an asyn function in every mode.

Installed with `pip install "mt-aio-core[pytest]"`, and found by pytest by itself. The fixture
`mode` runs a test three times: without any event loop, in asyncio's debug mode, and on uvloop (if
that is installed). In sync mode a test fails if an event loop is touched; in the others if the
loop is blocked for longer than `mt_aio_blocked_ms` (an option of pytest's configuration file, 250
by default, 0 for any time), or if a task is left behind. A test of code that talks to an event loop
in another thread, in sync mode too, is marked `mt_aio_loop_elsewhere`.
"""

# Failures are raised, not asserted: with `python -O` an installed plugin has no assertions.

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from mt.aio.core import srun

if TYPE_CHECKING:
    import asyncio

__all__ = ["Mode"]

T = TypeVar("T")

_OPTION = "mt_aio_blocked_ms"
_ELSEWHERE = "mt_aio_loop_elsewhere"


@dataclass(frozen=True)
class Mode:
    """One way of running an asyn function: what the fixtures `mode` and `async_mode` give."""

    name: str
    """`"sync"`, `"async"` or `"uvloop"`."""
    blocked_ms: float = 0
    """For how many milliseconds the event loop may be blocked; 0 for any time."""
    loop_elsewhere: bool = False
    """Whether, in sync mode, work may be given to an event loop that runs in another thread."""

    @property
    def is_async(self) -> bool:
        """Whether there is an event loop."""
        return self.name != "sync"

    @property
    def context_vars(self) -> dict[str, Any]:
        """What an asyn function is given in this mode; a new mapping each time."""
        return {"async": self.is_async}

    def run(self, asyn_func: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
        """Run an asyn function to its end.

        Args:
            asyn_func: the function; it is given `context_vars`.
            *args: its positional arguments.
            **kwargs: its other keyword arguments.

        Returns:
            Whatever it returns.

        Raises:
            AssertionError: in sync mode, an event loop was made, run, or given work from
                outside; in async mode, the loop was blocked for too long, or a task was left
                behind.
            RuntimeError: in async mode, an event loop runs already, as in an `async def` test.
            BaseException: what the function raises, which comes first.
        """
        if not self.is_async:
            with _no_loop(elsewhere=self.loop_elsewhere):
                return srun(asyn_func, *args, **kwargs)
        import asyncio

        if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the public one raises
            raise RuntimeError(
                "mode.run() runs an event loop of its own, and one is running here: make the test "
                "a plain function, without 'async'"
            )
        coro = self._watched(asyn_func(*args, context_vars=self.context_vars, **kwargs))
        with asyncio.Runner(debug=True, loop_factory=self._loop_factory()) as runner:
            return runner.run(coro)

    def _loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        if self.name != "uvloop":
            return None
        factory: Callable[[], asyncio.AbstractEventLoop] = _uvloop().new_event_loop
        return factory

    async def _watched(self, coro: Awaitable[T]) -> T:
        """Await a coroutine, and see that it neither blocks the loop nor leaves a task behind."""
        import asyncio

        with _not_blocked(asyncio.get_running_loop(), self.blocked_ms):
            result = await coro
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            raise AssertionError(f"tasks left open: {left}")
        return result


@contextmanager
def _not_blocked(loop: asyncio.AbstractEventLoop, limit_ms: float) -> Iterator[None]:
    """Fail if the loop is blocked for longer than the limit."""
    if limit_ms <= 0:
        yield
        return
    from mt.aio.core._watch import LoopWatch

    blocks: list[str] = []
    watch = LoopWatch(
        loop, limit_ms / 1000, lambda stack, _: blocks.append("".join(stack.format()))
    )
    try:
        yield
    finally:
        watch.stop()
    if blocks:
        raise AssertionError(
            f"the event loop was blocked for more than {limit_ms:g} ms ({_OPTION}), here:\n"
            f"{blocks[0]}"
        )


@contextmanager
def _no_loop(*, elsewhere: bool) -> Iterator[None]:
    """Fail if an event loop is made, run or called, which nothing needs in sync mode."""
    import asyncio

    touched: list[str] = []
    patch = pytest.MonkeyPatch()
    for owner, name in _ways_to_a_loop(asyncio):
        if elsewhere and name == "call_soon_threadsafe":
            continue
        patch.setattr(owner, name, _noting(getattr(owner, name), name, touched))
    try:
        yield
    finally:
        patch.undo()
    if touched:
        raise AssertionError(f"an event loop was touched in sync mode, through {touched[0]}")


def _ways_to_a_loop(asyncio: Any) -> list[tuple[Any, str]]:
    import sys

    loops = [asyncio.BaseEventLoop]
    if (uvloop := sys.modules.get("uvloop")) is not None:
        loops.append(uvloop.Loop)
    uses = ["__init__", "run_forever", "call_soon_threadsafe"]  # running needs the second
    return [(asyncio.Runner, "__init__"), *((loop, use) for loop in loops for use in uses)]


def _noting(func: Callable[..., Any], name: str, touched: list[str]) -> Callable[..., Any]:
    """Make a function that notes its being called in this thread."""
    from functools import wraps
    from threading import get_ident

    here = get_ident()

    @wraps(func)
    def noting(self: object, *args: Any, **kwargs: Any) -> Any:
        if get_ident() == here:
            touched.append(f"{type(self).__name__}{'' if name == '__init__' else '.' + name}()")
        return func(self, *args, **kwargs)

    return noting


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the configuration file."""
    parser.addini(
        _OPTION,
        "async tests through the fixture `mode` fail if the event loop is blocked for longer than "
        "this many milliseconds; 0 for any time",
        default="250",
    )


def _uvloop() -> Any:
    return pytest.importorskip("uvloop", reason="uvloop is not installed")


def _mode(request: pytest.FixtureRequest) -> Mode:
    if request.param == "uvloop":
        _uvloop()
    marker = request.node.get_closest_marker(_OPTION)
    limit = marker.args[0] if marker else request.config.getini(_OPTION)
    elsewhere = request.node.get_closest_marker(_ELSEWHERE) is not None
    return Mode(request.param, float(limit), elsewhere)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line("markers", f"{_OPTION}(ms): another limit for one test, 0 for none")
    config.addinivalue_line("markers", f"{_ELSEWHERE}: another thread's loop may be given work")


@pytest.fixture(params=["sync", "async", "uvloop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test in sync mode without a loop, in asyncio's debug mode, and on uvloop."""
    return _mode(request)


@pytest.fixture(params=["async", "uvloop"])
def async_mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test in asyncio's debug mode, and on uvloop."""
    return _mode(request)
