"""Queues whose methods can only be called in a thread, such as the proxies of a manager.

One thread for each side of such a queue calls its methods, for a short while each time, as long as
somebody waits. What it gets goes to a shelf, from where the first who waits takes it: so nothing is
lost with a waiter that is cancelled. What nobody has come for a while later is put back.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections import deque
from contextlib import suppress
from enum import Enum
from queue import Empty, Full
from typing import Any
from weakref import WeakValueDictionary

from mt.aio.core.lowlevel import living
from mt.aio.proc._queue_kept import kept
from mt.aio.proc._queue_line import Line, Place, Waiter

SLICE = 0.1  # seconds that a call lasts at most; arbitrary, as the other numbers here
LINGER = 0.25  # seconds for which the thread stays when nobody waits
PATIENCE = 1.0  # seconds that a cancelled put waits for a call that has begun


class RemoteGetter(Line):
    """Those who wait for an item."""

    def __init__(self, q: Any) -> None:
        self._changed = threading.Condition()
        super().__init__(self._changed)
        self._q = q
        self._shelf: deque[Any] = deque()
        self._lookers: list[Waiter] = []  # who want to know what is there now
        self._failure: BaseException | None = None
        self._runs = False
        self._pid = os.getpid()
        _getters[id(self)] = self

    def belongs_here(self) -> bool:
        """Whether this is not a forked copy, whose thread is another process's."""
        return os.getpid() == self._pid

    def begin(self) -> None:
        """Have the thread get something."""
        self._failure = None
        self._start()

    def attempt(self) -> Any:
        """Take what has come."""
        with self._changed:
            if self._shelf:
                self._changed.notify_all()
                return self._shelf.popleft()
            if self._failure is not None:
                raise self._failure
        raise Empty

    async def look(self) -> Any:
        """Ask the queue once."""
        with suppress(Empty):
            return self.attempt()
        waiter = Waiter(asyncio.get_running_loop())
        with self._changed:
            self._failure = None
            self._lookers.append(waiter)
            self._start()
        try:
            while waiter.place is not Place.WOKEN:
                await waiter.park(None)
        finally:
            with self._changed, suppress(ValueError):
                self._lookers.remove(waiter)
        return self.attempt()

    def put_back(self) -> None:
        """Put back what nobody has taken; in a first-in-first-out queue it is last then."""
        while True:
            try:
                item = self._shelf.popleft()
            except IndexError:
                return
            try:
                self._q.put(item, False)
            except Full:
                self._shelf.appendleft(item)
                return
            except Exception:
                logger.exception("an item cannot be put back into %r", type(self._q))
                return
            if hasattr(self._q, "task_done"):  # it has been counted twice
                self._q.task_done()

    def _start(self) -> None:
        if not self._runs:
            self._runs = True
            threading.Thread(target=self._run, name="mt-aio-queue-getter", daemon=True).start()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                wanted = self._changed.wait_for(self._is_wanted, LINGER)
                if not wanted and not self._shelf:
                    self._runs = False
                    return
                lookers, self._lookers = self._lookers, []
            if wanted:
                self._get(None if lookers else SLICE)
            else:
                self.put_back()
            for waiter in lookers:
                waiter.place = Place.WOKEN
                waiter.notify()

    def _is_wanted(self) -> bool:
        return bool(self._lookers or (self.idle and not self._shelf))

    def _get(self, timeout: float | None) -> None:
        """Get an item for those in line, waiting a while for it or not at all."""
        try:
            item = self._q.get(False) if timeout is None else self._q.get(True, timeout)
        except Empty:
            return
        except BaseException as exc:  # noqa: BLE001 - it belongs to those who wait
            with self._changed:
                self._failure = exc
                self.wake_all()
            return
        with self._changed:
            self._shelf.append(item)
            self.wake()


class State(Enum):
    """How far something that is to be put has come."""

    WAITING = "nobody has tried"
    BEING_PUT = "a thread is trying"
    PUT = "it is in the queue"
    REFUSED = "it is not, and no more is to be done"


class Parcel:
    """An object on its way into a queue, and who waits for it to get there."""

    def __init__(self, obj: Any, deadline: float) -> None:
        self.obj = obj
        self.deadline = deadline
        self.state = State.WAITING
        self.error: BaseException | None = None
        self.waiter = Waiter(asyncio.get_running_loop())


class RemotePutter:
    """Those who wait to put something."""

    def __init__(self, q: Any) -> None:
        self._changed = threading.Condition()
        self._q = q
        self._parcels: deque[Parcel] = deque()
        self._runs = False
        self._pid = os.getpid()

    def belongs_here(self) -> bool:
        """Whether this is not a forked copy, whose thread is another process's."""
        return os.getpid() == self._pid

    async def put(self, obj: Any, deadline: float | None) -> None:
        """Have an object put by the thread."""
        parcel = Parcel(obj, float("inf") if deadline is None else deadline)
        with self._changed:
            self._parcels.append(parcel)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="mt-aio-queue-putter", daemon=True).start()
            self._changed.notify_all()
        try:
            while parcel.state in (State.WAITING, State.BEING_PUT):
                await parcel.waiter.park(None)
        except asyncio.CancelledError:
            if not await self._taken_back(parcel):
                _cancel_again()
                return
            raise
        if parcel.error is not None:
            raise parcel.error

    async def _taken_back(self, parcel: Parcel) -> bool:
        """Withdraw a parcel; if it is being put, wait for what comes of it."""
        patience = time.monotonic() + PATIENCE
        parcel.deadline = 0
        with self._changed:
            if parcel.state is State.WAITING:
                self._parcels.remove(parcel)
                parcel.state = State.REFUSED
        while parcel.state is State.BEING_PUT and time.monotonic() < patience:
            with suppress(asyncio.CancelledError):  # one is about to be raised
                await parcel.waiter.park(patience)
        return parcel.state is not State.PUT

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._parcels, LINGER):
                    self._runs = False
                    return
                parcel = self._parcels.popleft()
                parcel.state = State.BEING_PUT
            state = self._put(parcel)
            with self._changed:
                if state is State.WAITING:
                    self._parcels.appendleft(parcel)
                parcel.state = state
            if state is not State.WAITING:
                parcel.waiter.notify()
            del parcel

    def _put(self, parcel: Parcel) -> State:
        """Try for a while to put something."""
        rest = parcel.deadline - time.monotonic()
        try:
            self._q.put(parcel.obj, rest > 0, min(max(rest, 0), SLICE))
        except Full as exc:
            if time.monotonic() < parcel.deadline:
                return State.WAITING
            parcel.error = exc
        except BaseException as exc:  # noqa: BLE001 - it belongs to who wants to put this
            parcel.error = exc
        else:
            return State.PUT
        return State.REFUSED


def _cancel_again() -> None:
    """Let a cancellation that came too late for what was awaited meet what is awaited next."""
    task = asyncio.current_task()
    count = task.cancelling() if task is not None else 0

    def cancel() -> None:
        if task is not None and task.cancelling() >= count > 0:
            task.uncancel()
            task.cancel()

    asyncio.get_running_loop().call_soon(cancel)


def remote_getter(q: Any) -> RemoteGetter:
    """Find or make the getter of a queue, which keeps it."""
    return kept(q, "_mt_aio_remote_getter", RemoteGetter)


def remote_putter(q: Any) -> RemotePutter:
    """Find or make the putter of a queue, which keeps it."""
    return kept(q, "_mt_aio_remote_putter", RemotePutter)


def _at_exit() -> None:
    """Put back what would be lost with this process."""
    for getter in living(_getters.valuerefs()):
        if getter.belongs_here():
            getter.put_back()


logger = logging.getLogger("mt.aio.proc")
_getters: WeakValueDictionary[int, RemoteGetter] = WeakValueDictionary()  # by their ids
atexit.register(_at_exit)
