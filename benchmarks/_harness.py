"""Measuring ours against the peers so that a busy machine cannot decide who wins.

In each round every contestant runs once, in an order that is rotated from round to round; what
counts is the ratio within a round, and of those the median. Lower is better for every figure.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

Figures = dict[str, float]
"""What one run gives: "time" and "gap" in seconds (per operation, where there are many), "cpu" in
seconds, "fds" as a number; a suite may add its own."""

PATIENCE = 0.1  # seconds; arbitrary: several time slices of a busy system

Measure = Callable[[], Figures]


@dataclass(frozen=True)
class Target:
    """What a case must reach: ours ÷ the peer's at most this; without a peer, ours itself."""

    at_most: float
    peer: str | None = None
    figure: str = "time"


@dataclass(frozen=True)
class Case:
    """One job, done by us and by the peers.

    A peer that is None could not be had (mtbase has an environment of its own); its targets are
    reported as not measured. `notes` says what the reader of a result has to know.
    """

    name: str
    ours: Measure
    peers: dict[str, Measure | None] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    rounds: int = 0  # 0: as the command line says
    warm: bool = True  # run each contestant once before what is measured
    settle: bool = False  # run each once more, uncounted, before it is measured in a round
    notes: str = ""


@dataclass(frozen=True)
class Options:
    """What the command line asks for; a suite takes its sizes from `quick`."""

    quick: bool
    rounds: int
    mtbase: str | None  # the Python that has mtbase


def run_case(case: Case, rounds: int) -> dict[str, Any]:
    """Measure a case and give its result, ready for JSON."""
    contestants = {"": case.ours} | {name: run for name, run in case.peers.items() if run}
    names = list(contestants)
    for name in names if case.warm else ():
        contestants[name]()  # warms caches and starts threads
    gc.collect()
    gc.freeze()  # what is here by now is not a contestant's: no cycle collector need look at it
    try:
        rows = _rounds(contestants, case.rounds or rounds, settle=case.settle)
    finally:
        gc.unfreeze()
    return {
        "case": case.name,
        "notes": case.notes,
        "rounds": len(rows),
        "ours": {figure: _spread([row[""][figure] for row in rows]) for figure in rows[0][""]},
        "peers": {name: _compare(rows, name) for name in names if name},
        "targets": [_judge(target, rows) for target in case.targets],
    }


def _rounds(
    contestants: dict[str, Measure], rounds: int, *, settle: bool
) -> list[dict[str, Figures]]:
    names = list(contestants)
    rows: list[dict[str, Figures]] = []
    for number in range(rounds):
        turn = number % len(names)
        row = {}
        for name in names[turn:] + names[:turn]:
            gc.collect()
            if settle:
                contestants[name]()
            row[name] = _enough(contestants[name])
        rows.append(row)
    return rows


def _enough(measure: Measure) -> Figures:
    """Run a contestant for PATIENCE seconds, so that one hiccup of the machine does not count.

    Figures are averaged, but the longest gap is the longest, and so on.
    """
    runs: list[Figures] = []
    begin = time.perf_counter()
    while not runs or time.perf_counter() - begin < PATIENCE:
        runs.append(measure())
    return {
        figure: (mean if figure in {"time", "cpu"} else max)(run[figure] for run in runs)
        for figure in runs[0]
    }


def _compare(rows: list[dict[str, Figures]], peer: str) -> dict[str, Any]:
    """Give the ratios of ours to a peer's, paired by round."""
    figures = [figure for figure in rows[0][peer] if figure in rows[0][""]]
    return {
        figure: {
            "value": _spread([row[peer][figure] for row in rows]),
            "ratio": _spread([_ratio(row, peer, figure) for row in rows]),
        }
        for figure in figures
    }


def _ratio(row: dict[str, Figures], peer: str, figure: str) -> float:
    return row[""][figure] / max(row[peer][figure], 1e-12)


def _spread(values: list[float]) -> Figures:
    return {"median": median(values), "min": min(values), "max": max(values)}


def _judge(target: Target, rows: list[dict[str, Figures]]) -> dict[str, Any]:
    value = None
    if target.peer is None:
        value = median([row[""][target.figure] for row in rows])
    elif target.peer in rows[0]:
        value = median([_ratio(row, target.peer, target.figure) for row in rows])
    reached = None if value is None else value <= target.at_most
    return {
        "figure": target.figure,
        "peer": target.peer,
        "at_most": target.at_most,
        "value": value,
        "reached": reached,
    }


def timed(func: Callable[[], Any], count: int = 1) -> Figures:
    """Time a call that does `count` operations."""
    cpu, begin = time.process_time(), time.perf_counter()
    func()
    end = time.perf_counter()
    return {"time": (end - begin) / count, "cpu": (time.process_time() - cpu) / count}


def sync_loop(func: Callable[[str], Any], paths: list[str]) -> Measure:
    """Measure a plain function on one path after the other."""

    def loop() -> None:
        for path in paths:
            func(path)

    return lambda: timed(loop, len(paths))


async def timed_async(func: Callable[[], Awaitable[Any]], count: int = 1) -> Figures:
    """Time an awaitable that does `count` operations."""
    cpu, begin = time.process_time(), time.perf_counter()
    await func()
    end = time.perf_counter()
    return {"time": (end - begin) / count, "cpu": (time.process_time() - cpu) / count}


async def gapped(func: Callable[[], Awaitable[Any]]) -> Figures:
    """Time an awaitable, and find the longest time for which it kept the event loop away.

    A ticker that wants to run each millisecond tells: the gap is what lies between two ticks.
    """
    gap, last = 0.0, time.perf_counter()
    loop = asyncio.get_running_loop()

    def tick() -> None:
        nonlocal gap, last, handle
        now = time.perf_counter()
        gap, last = max(gap, now - last), now
        handle = loop.call_later(0.001, tick)

    handle = loop.call_soon(tick)
    figures = await timed_async(func)
    await asyncio.sleep(0)
    now = time.perf_counter()
    handle.cancel()
    return {**figures, "gap": max(gap, now - last)}


@dataclass(frozen=True)
class Looped:
    """Measures in one event loop; what the cases of a suite share may be a subclass."""

    runner: asyncio.Runner

    def gapped(self, body: Callable[[], Awaitable[Any]]) -> Measure:
        """Measure a coroutine function, and how long it kept the event loop away."""
        return lambda: self.runner.run(gapped(body))


@contextmanager
def peak_descriptors(figures: Figures) -> Iterator[None]:
    """Put into `figures["fds"]` how many descriptors were open at most, over those before."""
    base = _descriptors()
    peak, done = base, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, _descriptors())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        figures["fds"] = peak - base


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))
