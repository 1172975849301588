"""Several children of one class, of which the least busy one gets the next message."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sized
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from mt.aio.core import asyn
from mt.aio.core.lowlevel import ContextVars
from mt.aio.proc._block import Block
from mt.aio.proc._process import _ASYNC, _GRACE, BgProcess

if TYPE_CHECKING:
    from mt.aio.proc._link import Link
    from mt.aio.proc._waiter import Waiter

Member = TypeVar("Member", bound=BgProcess)
Progress = Callable[[int, int | None], object]

_EACH = 2  # messages under way per member in `map`: one in hand and one that waits; arbitrary


class BgProcessPool(Block, Generic[Member]):
    """A few identical child processes behind one `send`.

    A message goes to the member with the fewest messages under way. A member that has died is
    started anew when its turn comes; only those whose messages it had are told of its death. As
    members keep their state each for itself, handlers should not depend on earlier messages.

    Args:
        cls: a class derived from `BgProcess`.
        n: how many members to start, at least 1.
        *args: what the class is called with, for each member.
        context_vars: the mode of `async with`, and of the methods where they are given none;
            asynchronous if left out.
        **kwargs: likewise.

    Raises:
        ValueError: `n` is less than 1.
        Exception: what the class raises; the members that were started are ended then.

    Example:
        >>> from mt.aio.core import srun
        >>> from mt.aio.proc import BgProcess, BgProcessPool
        >>> class Squarer(BgProcess):
        ...     def child_handle_message(self, msg):
        ...         return msg * msg
        >>> with BgProcessPool(Squarer, 2) as pool:
        ...     srun(pool.send, 3)
        9
    """

    def __init__(
        self,
        cls: Callable[..., Member],
        n: int,
        *args: Any,
        context_vars: ContextVars = {},
        **kwargs: Any,
    ) -> None:
        if n < 1:
            raise ValueError(f"a pool has at least 1 member, not {n}")
        self._context_vars = context_vars or _ASYNC
        self._members: list[Member] = []
        self._closed = False
        try:
            for _ in range(n):
                self._members.append(cls(*args, **kwargs))
        except BaseException:
            self.close(0)
            raise
        self._busy = [0] * n

    @property
    def members(self) -> tuple[Member, ...]:
        """The processes, for whatever has to be done with each of them."""
        return tuple(self._members)

    @asyn
    async def send(
        self,
        msg: Any,
        recv_timeout: float | None = None,
        recv_aio_interval: float = 0.001,
        *,
        on_give_up: Literal["finish", "restart"] = "finish",
        context_vars: ContextVars = {},
    ) -> Any:
        """Send a message to the least busy member and wait for its reply.

        All else is as for `BgProcess.send`.

        Args:
            msg: the message.
            recv_timeout: seconds to wait for the reply.
            recv_aio_interval: has no effect.
            on_give_up: as for `BgProcess.send`.
            context_vars: the mode.

        Returns:
            What `child_handle_message` returned.

        Raises:
            queue.Empty: there was no reply in time.
            ChildError: as for `BgProcess.send`; all kinds are a RuntimeError.
        """
        place = self._choose()
        self._busy[place] += 1
        try:
            return await self._members[place].send(
                msg,
                recv_timeout,
                recv_aio_interval,
                on_give_up=on_give_up,
                context_vars=context_vars or self._context_vars,
            )
        finally:
            self._busy[place] -= 1

    @asyn
    async def map(
        self,
        msgs: Iterable[Any],
        recv_timeout: float | None = None,
        *,
        progress: bool | Progress = False,
        context_vars: ContextVars = {},
    ) -> AsyncIterator[Any]:
        """Send many messages and iterate over the replies, in the order of the messages.

        `async for reply in pool.map(messages)` works in both modes, and in both the members
        work side by side. A few messages per member are taken from `msgs` ahead of the replies.

        Args:
            msgs: the messages.
            recv_timeout: seconds to wait for each reply, once its turn has come.
            progress: True shows a progress bar, for which tqdm has to be there (the extra
                `progress`); a function is called as `progress(done, total)` after each reply,
                where the total is None if `msgs` has no length.
            context_vars: the mode.

        Yields:
            The replies.

        Raises:
            queue.Empty: a reply did not come in time.
            ChildError: as for `send`, at the message's turn. The iteration ends with it, and
                the replies to the messages under way are dropped.
        """
        limit = _EACH * len(self._members)
        pending: deque[_Pending] = deque()
        mode = context_vars or self._context_vars
        count = len(msgs) if isinstance(msgs, Sized) else None
        report, finish = _progress(progress, count)
        done = 0
        try:
            for msg in msgs:
                pending.append(self._begin(msg, mode))
                if len(pending) == limit:
                    reply = await self._end(pending.popleft(), recv_timeout)
                    done += 1
                    report(done, count)
                    yield reply
            while pending:
                reply = await self._end(pending.popleft(), recv_timeout)
                done += 1
                report(done, count)
                yield reply
        finally:
            finish()
            while pending:
                self._drop(pending.popleft())

    def close(self, timeout: float = _GRACE) -> None:
        """End all members, as `BgProcess.close` does with each; none waits for another.

        Args:
            timeout: seconds that the members have before they are killed.
        """
        self._closed = True
        for member in self._members:
            member._linked().begin_close()  # noqa: SLF001 - of the same piece
        for member in self._members:
            member.close(timeout)

    @asyn
    async def aclose(self, timeout: float = _GRACE, *, context_vars: ContextVars = {}) -> None:
        """End all members and wait until they have ended.

        Args:
            timeout: seconds that the members have before they are killed.
            context_vars: the mode.
        """
        self._closed = True
        for member in self._members:
            member._linked().begin_close()  # noqa: SLF001 - of the same piece
        for member in self._members:
            await member.aclose(timeout, context_vars=context_vars or self._context_vars)

    def _choose(self) -> int:
        """Find the least busy member; if it has died, start it anew."""
        place = min(range(len(self._members)), key=self._busy.__getitem__)
        member = self._members[place]
        link = member._linked()  # noqa: SLF001 - of the same piece
        # A look at the exit code notices a death that nobody was there to see.
        if not self._closed and (link.exitcode is not None or link.ended):
            member._restart(link, 0)  # noqa: SLF001 - likewise
        return place

    def _begin(self, msg: Any, mode: ContextVars) -> _Pending:
        place = self._choose()
        link = self._members[place]._linked()  # noqa: SLF001 - of the same piece
        waiter = link.waiter(mode)
        pending = _Pending(place, link, waiter, link.send(waiter, msg))
        self._busy[place] += 1
        return pending

    async def _end(self, pending: _Pending, timeout: float | None) -> Any:
        try:
            return pending.link.result(await pending.waiter.wait(timeout))
        finally:
            self._drop(pending)

    def _drop(self, pending: _Pending) -> None:
        pending.link.forget(pending.number)
        self._busy[pending.place] -= 1


class _Pending:
    """A message of `map` that is under way."""

    def __init__(self, place: int, link: Link, waiter: Waiter, number: int) -> None:
        self.place = place
        self.link = link
        self.waiter = waiter
        self.number = number


def _progress(
    progress: bool | Progress, count: int | None
) -> tuple[Progress, Callable[[], object]]:
    """Return what is to be called after each reply, and at the end."""
    if callable(progress):
        return progress, lambda: None
    if not progress:
        return lambda _done, _total: None, lambda: None
    from tqdm.auto import tqdm

    bar = tqdm(total=count)
    return lambda _done, _total: bar.update(), bar.close
