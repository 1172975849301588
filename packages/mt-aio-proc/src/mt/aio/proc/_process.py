"""BgProcess: the class that users derive their helper processes from."""

from __future__ import annotations

from mt.aio.proc._block import Block

TYPE_CHECKING = False  # checkers take this very name for true
if TYPE_CHECKING:  # each child imports this module: it is to be quick
    import weakref
    from collections.abc import AsyncIterator, Callable, Iterable
    from typing import Any, Literal

    from mt.aio.core import asyn
    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.proc._host import Host
    from mt.aio.proc._link import Link
else:
    from mt.aio.proc._asyn import LateAsyn as asyn  # noqa: N813 - the same to a reader

_ASYNC: ContextVars = {"async": True}
_GRACE = 2.0  # seconds for a child to end by itself; arbitrary
_WAYS_TO_GIVE_UP = ("finish", "restart")


class BgProcess(Block):
    """A child process that communicates with this one by messages.

    Derive a class, override `child_handle_message`, and make an instance: the constructor
    launches the child. The child is a fresh interpreter that gets a pickled copy of the instance
    as it is when `BgProcess.__init__` is called, so attributes that the child needs are set
    before that. Classes defined in a script, a notebook cell or a function will do, and no
    `if __name__ == "__main__"` guard is needed. A module that the class comes from is imported
    in the child as usual.

    What the child prints, Python code and native code alike, is handed to `on_write`.

    **Concurrency.** Messages may be sent from any number of tasks, event loops and threads at
    once; the child handles them one after the other, in the order in which they were sent.

    **The end.** `close`, `aclose`, leaving a `with` or `async with` block, or dropping the last
    reference ends the child. It also ends with this process, however that ends.

    Args:
        context_vars: the mode of `async with`, and of `send` and `aclose` where they are given
            none; asynchronous if left out. The child does not get them.
        forward: what else the child is to hand over to this process, or get from it: `"logging"`
            (records that reach the child's root logger are handled by the loggers of their name
            here, whose levels apply), `"warnings"` (they are issued here), and context
            variables, each as `"module:name"` of a module that both sides can import: a handler
            sees the value that the variable had where its message was sent. Nothing by default,
            as it costs time at the start and with each message.
        host: where the child is to live, such as a `mt.aio.dask.DaskHost`; on this machine if
            left out. `restart` starts another one on the same host.

    Raises:
        NotImplementedError: on Windows.
        RuntimeError: there is no interpreter to start, as in a frozen program.
        Exception: whatever pickling raises if the instance cannot be pickled; no process has
            been started then.

    Example:
        >>> from mt.aio.core import srun
        >>> from mt.aio.proc import BgProcess
        >>> class Squarer(BgProcess):
        ...     def child_handle_message(self, msg):
        ...         return msg * msg
        >>> with Squarer() as squarer:
        ...     srun(squarer.send, 3)
        9
    """

    _link: Link | None = None

    def __init__(
        self,
        *,
        context_vars: ContextVars = {},
        forward: Iterable[str] = (),
        host: Host | None = None,
    ) -> None:
        self._start(context_vars or _ASYNC, tuple(forward), host)

    def child_handle_message(self, msg: Any) -> Any:
        """Handle a message; called in the child only. To be overridden.

        The default returns the message. An exception is raised to whoever sent the message, and
        the child goes on; `SystemExit` ends the child.

        Args:
            msg: what was given to `send`.

        Returns:
            What `send` is to return: anything that can be pickled. For `stream`, an iterator,
            such as a generator has: what it yields are the parts.
        """
        return msg

    @asyn
    async def send(
        self,
        msg: Any,
        recv_timeout: float | None = None,
        recv_aio_interval: float = 0.001,  # noqa: ARG002 - nothing is polled
        *,
        on_give_up: Literal["finish", "restart"] = "finish",
        context_vars: ContextVars = {},
    ) -> Any:
        """Send a message to the child and wait for its reply.

        **Modes.** Asynchronous: the event loop goes on meanwhile. Synchronous: this thread waits;
        no loop is needed.

        Args:
            msg: anything that pickle or cloudpickle can handle. It is pickled before the call
                first suspends, so it may be changed afterwards, except for large buffers
                (64 KiB and more, such as arrays), which are sent as they lie in memory.
            recv_timeout: seconds to wait for the reply; None waits as long as the child lives.
            recv_aio_interval: has no effect, as nothing is polled.
            on_give_up: what becomes of the work when the time is up or the call is cancelled:
                `"finish"` lets the child finish it, and drops its reply; `"restart"` kills the
                child, whatever it is doing, and starts another one, as `restart` does. Whoever
                else waits for the killed child gets a ChildDiedError.
            context_vars: the mode; if left out, that of the constructor, which is asynchronous
                unless it was told otherwise.

        Returns:
            What `child_handle_message` returned in the child.

        Raises:
            ValueError: `on_give_up` is something else; nothing has been sent then.
            queue.Empty: there was no reply in time.
            ChildRaisedError: `child_handle_message` raised. A RuntimeError whose `args` are a
                text, the exception, and the child's call stack as a list of lines; the exception
                is its `__cause__`, too.
            ChildDiedError: the child has ended; a RuntimeError that says how.
            ChildClosedError: the child was closed; a RuntimeError.
            ChildError: the reply cannot be loaded here; a RuntimeError.
            Exception: whatever pickling raises if the message cannot be pickled; nothing has
                been sent then.

        **Cancellation.** The reply is dropped when it comes. A message of which nothing has
        left this process yet is not sent; any other one the child handles all the same, unless
        `on_give_up` says otherwise.
        """
        if on_give_up not in _WAYS_TO_GIVE_UP:
            raise ValueError(f"on_give_up must be 'finish' or 'restart', not {on_give_up!r}")
        link = self._link or self._linked()
        waiter = link.waiter(context_vars)
        number = link.send(waiter, msg)
        try:
            reply = await waiter.wait(recv_timeout)
        except BaseException:
            if on_give_up == "restart":
                self._replace(link, number)
            raise
        finally:
            link.forget(number)
        return link.result(reply)

    @asyn
    async def stream(
        self,
        msg: Any,
        recv_timeout: float | None = None,
        *,
        ahead: int = 8,
        context_vars: ContextVars = {},
    ) -> AsyncIterator[Any]:
        """Send a message and iterate over the parts of its reply, as `child_handle_message` yields.

        `async for part in process.stream(message)` works in both modes. A reply that is no
        iterator is the only part. Leaving the loop early tells the child to stop: it closes the
        generator and goes on to the next message. To be sure that this happens at once, use
        `contextlib.aclosing`.

        Args:
            msg: as for `send`.
            recv_timeout: seconds to wait for each part; None waits as long as the child lives.
            ahead: how many parts the child may make before they are asked for, at least 1: it
                waits when so many have not been taken yet.
            context_vars: the mode, as for `send`.

        Yields:
            What the child's iterator yields, one part after the other.

        Raises:
            ValueError: `ahead` is less than 1.
            queue.Empty: a part did not come in time; the child is told to stop.
            ChildError: as for `send`. What the child has yielded before it raised comes first.

        **Cancellation.** The child is told to stop, which it does between two parts.
        """
        from mt.aio.proc._stream import stream

        link = self._link or self._linked()
        async for part in stream(link, msg, recv_timeout, ahead, context_vars):
            yield part

    def on_write(self, stream: str, text: str) -> None:
        """Take what the child has printed; called in this process. May be overridden.

        The default prints each line with a prefix, as in `BgProcess (stdout): hello`.

        Args:
            stream: `"stdout"` or `"stderr"`.
            text: whole lines, in order; the end of a line may be missing only from what was
                read last before a reply or the child's end. All that is printed before a reply
                comes before it. With several messages under way, what is read then may already
                be the beginning of what the next one prints: such a line comes in two pieces.

        **Concurrency.** It is called by whatever event loop or thread found the text, must not
        block, and cannot wait for the child itself.
        """
        for line in text.splitlines():
            print(f"BgProcess ({stream}): {line}")  # noqa: T201 - this is what it is for

    def on_event(self, event: tuple[Any, ...]) -> None:
        """Take what else the child tells; called in this process. May be overridden.

        The default logs it.

        Args:
            event: `("ignored_exception", exception)` when an interrupt reached the child while
                it was handling no message, or `("exit", error)` when it has ended; the error is
                None if its exit status was 0.
        """
        import logging

        logging.getLogger("mt.aio.proc").debug("%s: %r", type(self).__qualname__, event)

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._linked().pid

    @property
    def exitcode(self) -> int | None:
        """The exit status of the child, or the negative number of a signal; None if it lives."""
        return self._linked().exitcode

    def close(self, timeout: float = _GRACE) -> None:
        """End the child: let it finish the message in hand, and kill it if that takes too long.

        Whoever still waits for a reply gets a ChildClosedError at once. Closing twice is fine.

        Args:
            timeout: seconds that the child has before it is killed.

        **Modes.** In a thread with a running event loop it returns at once and the end is seen
        to elsewhere, as a plain function must not block the loop (`aclose` waits for it).
        Otherwise it returns when the child has ended.
        """
        self._linked().close(timeout)

    @asyn
    async def aclose(self, timeout: float = _GRACE, *, context_vars: ContextVars = {}) -> None:
        """End the child as `close` does and wait until it has ended.

        Args:
            timeout: seconds that the child has before it is killed.
            context_vars: the mode, as for `send`.

        **Cancellation.** Takes effect when the child has ended, after `timeout` at the latest.
        """
        from mt.aio.core.lowlevel import offload

        link = self._linked()
        link.begin_close()
        await offload(link.finish, timeout, context_vars=context_vars or link.context_vars)

    def restart(self, timeout: float = _GRACE) -> None:
        """Start another child, with a copy of the instance as it is now; the old one is closed.

        Args:
            timeout: seconds that the old child has before it is killed.

        **Concurrency.** Threads that restart it at once get one new child.
        """
        self._restart(self._linked(), timeout)

    def _restart(self, link: Link, timeout: float) -> None:
        link.close(timeout)
        self._succeed(link)

    def _succeed(self, link: Link) -> None:
        """Start another child in a link's place, unless another thread has done so meanwhile."""
        with link.succession:
            if self._link is link:
                self._start(link.context_vars, link.forward, link.host)

    def _start(
        self, context_vars: ContextVars, forward: tuple[str, ...], host: Host | None
    ) -> None:
        import weakref

        from mt.aio.proc._link import Link

        old, name = self._link, type(self).__qualname__
        report = _reporter(weakref.ref(self))
        link = Link(name, self, report, context_vars, forward=forward, host=host)
        self._link = link
        # Not at exit: the link sees to that by itself.
        link.forgotten = weakref.finalize(self, link.abandon, _GRACE)
        link.forgotten.atexit = False
        if old is not None and old.forgotten is not None:
            old.forgotten.detach()

    def _replace(self, link: Link, number: int) -> None:
        """Stop the work on a message, if it may have begun, with the child that does it."""
        if link.forget(number) and self._link is link:
            link.kill("since a send gave up that was to stop its work")
            link.finish_elsewhere(_GRACE)  # in synchronous mode nobody else would see to its end
            self._succeed(link)

    def _linked(self) -> Link:
        if self._link is None:
            from mt.aio.proc._error import ChildError

            raise ChildError(
                f"this {type(self).__qualname__} has no child process: either it is the copy in "
                "the child, or its __init__ has not called BgProcess.__init__"
            )
        return self._link


def _reporter(reference: weakref.ref[BgProcess]) -> Callable[[tuple[Any, ...]], None]:
    """Make the function that hands a link's reports to its process, while there is one."""

    def report(event: tuple[Any, ...]) -> None:
        process = reference()
        if process is None:
            return
        try:
            if event[0] == "write":
                process.on_write(*event[1:])
            elif event[0] == "told":
                from mt.aio.proc._forward import repeat

                repeat(*event[1])
            else:
                process.on_event(event)
        except Exception:
            import logging

            logging.getLogger("mt.aio.proc").exception("error in a handler of %r", event[0])

    return report
