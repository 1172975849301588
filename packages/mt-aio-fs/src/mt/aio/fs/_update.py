"""Changing a JSON file as one step: nobody's change in between is lost."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

from mt.aio.core import asyn, sleep
from mt.aio.core.lowlevel import check_cancelled, is_async, offload
from mt.aio.fs._atomic import resolve_target
from mt.aio.fs._check import check_file_mode
from mt.aio.fs._durability import durability_of
from mt.aio.fs._folder import make_folders
from mt.aio.fs._json import _dump, _load
from mt.aio.fs._lock import Busy, Lock, lock_path
from mt.aio.fs._path import check_path, located
from mt.aio.fs._write import write_file

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._durability import Durability

# In asynchronous mode a free file is had in this many seconds at any rate. Arbitrary: some hops.
_SHORTEST_TRY = 0.05

# The first and the longest pause before the lock is tried again, in seconds. Arbitrary: an update
# of a small file takes about as long as the first.
_PAUSE = 0.002
_LONGEST_PAUSE = 0.1

_MISSING: Any = object()


@asyn
async def json_update(
    filepath: str | os.PathLike[str],
    func: Callable[[Any], Any],
    file_mode: int | None = None,
    *,
    default: Any = _MISSING,
    timeout: float | None = 10.0,
    make_dirs: bool = False,
    durability: Durability | None = None,
    context_vars: ContextVars = {},
    **kwargs: Any,
) -> Any:
    """Read a JSON file, change the object, and write it back, as one step.

    No update is lost, however many tasks, threads and processes update the file at the same time.
    Those that write it in other ways are not kept from doing so: what `json_save` writes while an
    update is under way is replaced. Readers see the whole old or the whole new content.

    The updaters keep each other out by a lock on the file `.NAME.mtlock` beside the target, which
    is there during an update. The lock of a process that ends, however it ends, is free (unless it
    was killed in the midst of an update and a child, forked in the midst of it, lives on).

    An object in a store has no lock. It is written on condition that it is still the one that was
    read; else all of it is done again, `func` included. So no change of anybody's is lost there,
    however it was made.

    **Modes.** Asynchronous: one worker thread reads, calls `func` and writes. While another
    process has the lock, no thread waits for it: it is tried again after pauses of up to 0.1 s.
    Updates of one event loop wait for each other without any trying. Synchronous: right here.

    Args:
        filepath: path to the file, or URL of an object
        func: a plain function that is given the object and returns what is to be saved; None
            stands for the object that it was given, changed in place. It is called once (for a
            URL: once for each try), in a worker thread in asynchronous mode, and should be quick:
            others wait
        file_mode: the file's mode. None keeps the mode of an existing file and leaves that of a
            new one to the umask
        default: what `func` is given, as a deep copy, if the file does not exist
        timeout: for how many seconds to wait for other updaters at most. 0: not at all; None:
            for ever. In synchronous mode this process's own asynchronous jobs for the path are
            waited for first, in any case. For a URL: after how many seconds no further try is
            begun; what a store takes to answer is limited otherwise
        make_dirs: create the target's folders if they are missing
        durability: what a power cut may do, as for `write_binary`
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)
        **kwargs: passed as they are to `json.dumps`

    Returns:
        The object that has been saved.

    Raises:
        TimeoutError: if others kept the file for so long; the text names who has it. Nothing has
            been changed. Of a store that does not answer it may have been
        FileNotFoundError: if the file does not exist and no default is given
        ValueError: if the file is not JSON; a note names it. If `timeout` is negative
        TypeError: if `func` is an asyn function; what `json_save` raises
        OSError: what the system reports
        Exception: what `func` raises

    **Cancellation**: until the new content is published nothing has changed, after that it is
    complete. The coroutine ends when the worker thread has.

    **On error**: the file is as it was, the lock is free, and nothing is left beside the file.
    """
    path, key, remote = located(check_path(filepath))
    check_file_mode(file_mode)
    if timeout is not None and not timeout >= 0:  # nor NaN
        raise ValueError(f"timeout is a number of seconds or None, not {timeout!r}")
    step = Step(path, func, default, partial(_dump, options=kwargs))
    if remote is not None:
        from mt.aio.fs._update_url import UrlStep

        step = UrlStep(path, func, default, partial(_dump, options=kwargs))
        step.serve(remote)
    step.key = key
    step.options = (file_mode, durability_of(context_vars, durability), make_dirs)
    begun = time.monotonic()
    pause = _PAUSE
    while True:
        left = None if timeout is None else begun + timeout - time.monotonic()
        try:
            return await _try(step, left, context_vars)
        except Busy as exc:
            left = None if timeout is None else begun + timeout - time.monotonic()
            if left is not None and left <= 0:
                text = f"{path!r} could not be updated within {timeout:g} s: it is kept by {exc}"
                raise TimeoutError(text) from None
        # By chance, or two that have met once would meet again.
        wait = pause * (1 + os.urandom(1)[0] / 255) / 2
        await sleep(wait if left is None else min(wait, left), context_vars=context_vars)
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _try(step: Step, left: float | None, context_vars: ContextVars) -> Any:
    """Do the step if nobody else has the lock; wait for other jobs of this process only."""
    work = partial(
        offload, step.run, context_vars=context_vars, order=step.key, network=step.network
    )
    if left is None or not is_async(context_vars):
        return await work()
    import asyncio

    limit = asyncio.timeout(max(left, _SHORTEST_TRY))
    step.on_begin = partial(asyncio.get_running_loop().call_soon_threadsafe, _lift, limit)
    try:
        async with limit:
            return await work()
    except TimeoutError:
        if not limit.expired():
            raise
        if step.saved:  # it had just begun, and was too fast to be stopped
            return step.saved[0]
        who = f"other jobs of this process ({os.getpid()}) that were issued before"
        raise Busy(who) from None


def _lift(limit: asyncio.Timeout) -> None:
    """End the waiting time, unless it is over."""
    try:
        limit.reschedule(None)
    except RuntimeError:
        return


class Step:
    """One update, blocking; it may be run again as long as it raises Busy."""

    network = False
    key: str
    options: tuple[int | None, Durability, bool]

    def __init__(
        self,
        filepath: str,
        func: Callable[[Any], Any],
        default: Any,
        dump: Callable[[Any], bytes],
    ) -> None:
        self.filepath = filepath
        self.saved: list[Any] = []
        self.on_begin: Callable[[], object] | None = None
        self._func = func
        self._default = default
        self.dump = dump

    def run(self) -> Any:
        """Do it."""
        file_mode, durability, make_dirs = self.options
        target = resolve_target(self.filepath).filepath
        if make_dirs:
            make_folders(os.path.dirname(target), durability)
        lock = Lock(lock_path(target))
        try:
            try:
                lock.acquire()
            except OSError as exc:
                exc.filename = self.filepath
                raise
            if self.on_begin is not None:
                self.on_begin()
            new = self.changed(self._load(target))
            write_file(target, self.dump(new), file_mode, durability)
            self.saved.append(new)
        finally:
            lock.release()
        return new

    def _load(self, target: str) -> Any:
        try:
            return _load(target, {})
        except FileNotFoundError as exc:
            return self.default(exc)

    def default(self, missing: FileNotFoundError) -> Any:
        """Give what stands for a file that is missing, if anything does."""
        if self._default is _MISSING:
            raise missing
        import copy

        return copy.deepcopy(self._default)

    def changed(self, old: Any) -> Any:
        """Give what is to be saved in place of an object."""
        check_cancelled()
        new = self._func(old)
        if new is None:
            return old
        if hasattr(new, "__await__"):
            if hasattr(new, "close"):
                new.close()
            raise TypeError("json_update takes a plain function, and this is an asyn function")
        return new
