"""Several calls of asyn functions at once, where there is an event loop; else in order.

Both modes share one body: in synchronous mode starting an awaitable does nothing, and awaiting it
runs it. An error leaves nothing behind that goes on in the background.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sized
from typing import Any, Concatenate, ParamSpec, TypeVar

from mt.aio.core._asyn import asyn
from mt.aio.core._limit import at_least_one
from mt.aio.core._mode import ContextVars, is_async
from mt.aio.core._progress import Progress, open_bar

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


@asyn
async def gather(*awaitables: Awaitable[T], context_vars: ContextVars = {}) -> list[T]:
    """Await several calls of asyn functions.

    **Modes.** Asynchronous: they run concurrently. Synchronous: one after the other, in order.

    Args:
        *awaitables: the calls, such as `f(x, context_vars=context_vars)`, not awaited yet.
        context_vars: the mode, which must be that of the calls.

    Returns:
        Their results, in the order of the arguments.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.
        TypeError: one of them cannot be awaited.
        BaseException: what one of them raised. Those that are not done are cancelled then, or
            not begun; it is raised when all have ended. Errors of others that ended meanwhile
            come with it as an `ExceptionGroup`.

    **Cancellation.** All are cancelled, and have ended when the coroutine does.
    """
    start, stop = _ways(context_vars)
    started: list[Awaitable[T]] = []
    try:
        started.extend(map(start, awaitables))  # those before one that is refused are in it
        return [await each for each in await _settled(started, context_vars)]
    finally:
        await stop(started)
        await _close(awaitables[len(started) :])
        started.clear()  # or an error, whose traceback refers to this frame, would be in a cycle
        del awaitables


@asyn
async def amap(
    asyn_func: Callable[Concatenate[S, ...], Awaitable[T]],
    items: Iterable[S] | AsyncIterable[S],
    *,
    context_vars: ContextVars = {},
    max_concurrency: int = 16,  # arbitrary
    progress: Progress = False,
) -> AsyncGenerator[T, None]:
    """Call an asyn function with each item, and give the results in the order of the items.

    **Modes.** Asynchronous: up to `max_concurrency` calls are under way, or done and not taken
    yet; items are fetched no sooner than that. Synchronous: one call after the other, each when
    its result is asked for.

    Args:
        asyn_func: an asyn function, called as `asyn_func(item, context_vars=context_vars)`.
        items: what to call it with; an asynchronous iterable will do as well.
        context_vars: the mode, handed on to the function.
        max_concurrency: how many calls run at most.
        progress: True, or a title, shows a `tqdm` bar of the results taken; a bar of your own
            (anything with a method `update`) is told of each one.

    Yields:
        The results.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.
        ModuleNotFoundError: the bar that was asked for needs tqdm, which is not installed.
        TypeError: `max_concurrency` is no integer.
        ValueError: `max_concurrency` is below 1.
        BaseException: what a call raised, when its turn comes. The other calls under way are
            cancelled, and have ended then.

    **Cancellation.** As after an error. Whoever leaves the `async for` early should close the
    iterator (`contextlib.aclosing`), which does the same; or the event loop will do it some time.
    """
    max_concurrency = at_least_one("max_concurrency", max_concurrency)
    start, stop = _ways(context_vars)
    ahead = max_concurrency if is_async(context_vars) else 1
    bar = open_bar(progress, len(items) if isinstance(items, Sized) else None)
    under_way: deque[Awaitable[T]] = deque()
    try:
        async for item in _each(items):
            under_way.append(start(asyn_func(item, context_vars=context_vars)))
            if len(under_way) == ahead:
                result = await under_way.popleft()
                bar.update(1)
                yield result
        while under_way:
            result = await under_way.popleft()
            bar.update(1)
            yield result
    finally:
        bar.close()
        await stop(under_way)


def _ways(
    context_vars: ContextVars,
) -> tuple[Callable[[Awaitable[T]], Awaitable[T]], Callable[[Iterable[Any]], Awaitable[None]]]:
    """Give the mode's way of starting an awaitable, and of ending those started."""
    if is_async(context_vars):
        from asyncio import ensure_future

        return ensure_future, _cancel
    return _as_it_is, _close


def _as_it_is(awaitable: Awaitable[T]) -> Awaitable[T]:
    return awaitable


async def _settled(started: list[Any], context_vars: ContextVars) -> list[Any]:
    """In asynchronous mode, wait until all are done or one has failed."""
    if is_async(context_vars) and not await _all_succeed(started):
        await _cancel(started)
        _raise_errors(started)
    return started


async def _all_succeed(futures: list[Any]) -> bool:
    """Wait until one fails or is cancelled (which `asyncio.wait` does not look for), or all end."""
    from asyncio import get_running_loop

    left = len(futures)
    verdict = get_running_loop().create_future()

    def ended(future: Any) -> None:
        nonlocal left
        left -= 1
        failed = future.cancelled() or future.exception() is not None
        if not verdict.done() and (failed or left == 0):
            verdict.set_result(not failed)

    for each in futures:
        each.add_done_callback(ended)
    return await verdict if futures else True


def _raise_errors(futures: Iterable[Any]) -> None:
    """Raise what futures failed with: one as itself, several as a group."""
    errors = [each.exception() for each in futures if not each.cancelled()]
    errors = [error for error in errors if error is not None]
    try:
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("several of the gathered calls failed", errors)
        from asyncio import CancelledError

        raise CancelledError("one of the gathered calls was cancelled")
    finally:
        del errors  # their tracebacks refer to this frame


async def _cancel(started: Iterable[Any]) -> None:
    """Cancel futures, and wait until they have ended, whoever cancels meanwhile."""
    from asyncio import CancelledError, wait

    left = [each for each in started if not each.done()]
    for each in left:
        each.cancel()
    again = None
    while left:
        try:
            await wait(left)
        except CancelledError as error:
            again = error
        left = [each for each in left if not each.done()]
    for each in started:
        if not each.cancelled():
            each.exception()  # seen, or asyncio would complain that nobody looked
    if again is not None:
        raise again


async def _close(started: Iterable[Any]) -> None:
    """Close coroutines that are not going to run, or Python would complain about them."""
    for each in started:
        if (close := getattr(each, "close", None)) is not None:
            close()


async def _each(items: Iterable[S] | AsyncIterable[S]) -> AsyncGenerator[S, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
