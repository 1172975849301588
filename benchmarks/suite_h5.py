"""Writing and reading HDF5 beside an event loop: time, longest gap of the loop, memory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import _h5_ways as ways
from _harness import Case, Figures, Looped, Measure, Options, Target

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - the tmpfs itself is wanted
GAP = Target(0.020, figure="gap")


@dataclass(frozen=True)
class Bench(Looped):
    """What the cases share."""

    folder: str
    data: ways.Array
    rounds: int

    def path(self, name: str) -> str:
        """Make up a path on tmpfs."""
        return os.path.join(self.folder, name)


def cases(options: Options) -> Iterator[Case]:
    """Give the cases of this suite."""
    with ExitStack() as stack:
        bench = Bench(
            stack.enter_context(asyncio.Runner()),
            stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)),
            ways.sensor_data((32 if options.quick else 256) * 2**20),
            min(options.rounds, 5 if options.quick else 3),  # a round of the large array is long
        )
        yield control_case(bench)
        yield from write_cases(bench)
        yield from read_cases(bench)
        yield from gap_cases(bench)
        yield from memory_cases(bench)
        yield from linear_cases(bench)


def control_case(bench: Bench) -> Case:
    """Tell how much of a second core there is: two zlib processes at once, against one."""
    count = bench.data.nbytes // 2**20

    def run(processes: int) -> Figures:
        command = [sys.executable, ways.__file__, "compress", str(count // processes)]
        pipe = subprocess.PIPE
        children = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(processes)
        ]
        for child in children:
            child.stdout.readline()  # type: ignore[union-attr]
        begin = time.perf_counter()
        for child in children:
            child.stdin.write("go\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
        for child in children:
            child.communicate()
        return {"time": time.perf_counter() - begin}

    return Case(
        "control: zlib in two independent processes",
        lambda: run(2),
        {"one process": lambda: run(1)},
        rounds=bench.rounds,
        notes="0.5 on two idle cores. Only where it is about that can threads reach a ratio "
        "such as 0.6: what the control lacks, they lack, too.",
    )


def write_cases(bench: Bench) -> Iterator[Case]:
    """Write the array in several ways, against h5py in the event loop."""
    zlib = (Target(0.6, "h5py"), Target(1.0, "h5py", "cpu"), GAP)
    yield write_case(bench, "gzip 4 + shuffle, zlib", ways.GZIP, zlib, "zlib")
    yield write_case(
        bench, "gzip 4 + shuffle, isal", ways.GZIP, (Target(0.35, "h5py"), GAP), "isal"
    )
    yield write_case(bench, "gzip 4 + shuffle, zlib-ng", ways.GZIP, (GAP,), "zlib_ng")
    yield write_case(bench, "contiguous", ways.PLAIN, (Target(1.1, "h5py"), GAP))
    yield write_case(bench, "chunked", ways.CHUNKED, (Target(1.1, "h5py"), GAP))
    yield write_case(bench, "lzf, by h5py itself", ways.LZF, (GAP,))


def write_case(
    bench: Bench,
    name: str,
    options: dict[str, Any],
    targets: tuple[Target, ...],
    deflate: str = "auto",
) -> Case:
    """Compare writing, and the size of the file."""
    ours, plain = bench.path("ours.h5"), bench.path("h5py.h5")

    def sized(path: str, body: Callable[[], Awaitable[Any]]) -> Measure:
        measure = bench.gapped(body)
        return lambda: {**measure(), "size": os.path.getsize(path) / bench.data.nbytes}

    return Case(
        f"write, {name}",
        sized(ours, lambda: ways.write_ours(ours, bench.data, options, deflate)),
        {"h5py": sized(plain, lambda: ways.write_h5py(plain, bench.data, options))},
        targets,
        rounds=bench.rounds,
    )


def read_cases(bench: Bench) -> Iterator[Case]:
    """Read the array, against h5py and zarr in the event loop."""
    path, plain = bench.path("gzip.h5"), bench.path("plain.h5")
    bench.runner.run(ways.write_h5py(path, bench.data, ways.GZIP))
    bench.runner.run(ways.write_h5py(plain, bench.data, ways.PLAIN))
    zarr = bench.gapped(ways.zarr_reader(bench.path("zarr"), bench.data))
    ours = bench.gapped(lambda: ways.read_ours(path))

    def by_zlib() -> Figures:
        with ways.standard_zlib():
            return ours()

    peers: dict[str, Measure | None] = {
        "h5py": bench.gapped(lambda: ways.read_h5py(path)),
        "zarr": zarr,
    }
    targets = (Target(0.6, "h5py"), GAP)
    yield Case("read, gzip 4 + shuffle, zlib", by_zlib, peers, targets, bench.rounds)
    yield Case("read, gzip 4 + shuffle, isal", ours, peers, targets, bench.rounds)
    yield Case(
        "read, contiguous",
        bench.gapped(lambda: ways.read_ours(plain)),
        {"h5py": bench.gapped(lambda: ways.read_h5py(plain))},
        (Target(1.1, "h5py"), GAP),
        10 * bench.rounds,  # a round is short, and memory that the machine has to fetch is dear
        settle=True,
    )


def gap_cases(bench: Bench) -> Iterator[Case]:
    """See how long whatever else there is keeps the event loop away."""
    whole = bench.path("whole.h5")
    jobs: dict[str, Callable[[], Awaitable[Any]]] = {
        "h5_save": lambda: ways.save_tree(whole, bench.data),
        "h5_load": lambda: ways.load_tree(whole),
        "verify": lambda: ways.write_verified(whole, bench.data),
        "open, change, close": lambda: ways.change(whole),
        "create through handle, flush, close": lambda: ways.write_handle(whole, bench.data),
    }
    for name, job in jobs.items():
        yield Case(f"gap, {name}", bench.gapped(job), {}, (GAP,), bench.rounds)


def memory_cases(bench: Bench) -> Iterator[Case]:
    """Find the memory taken beyond the array, each time in a fresh process."""
    if not os.path.exists("/proc/self/clear_refs"):
        return
    path = bench.path("gzip.h5")

    def measure(job: str, size: int) -> Measure:
        target = bench.path("memory.h5") if job.startswith("write") else path
        command = [sys.executable, ways.__file__, job, target, str(size)]

        def run() -> Figures:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return {"extra MiB": float(done.stdout)}

        return run

    size = bench.data.nbytes
    for job in ("write gzip", "write plain", "write lzf", "read gzip"):
        peers: dict[str, Measure | None] = {}
        if job.startswith("write"):
            peers["a quarter of the array"] = measure(job, size // 4)
        targets = (Target(64, figure="extra MiB"),)
        yield Case(f"memory, {job}", measure(job, size), peers, targets, rounds=3)


def linear_cases(bench: Bench) -> Iterator[Case]:
    """Compare the time per byte of the whole array and of an eighth of it."""
    part = bench.data[: len(bench.data) // 8]
    whole, small = bench.path("whole.h5"), bench.path("small.h5")
    for name, options in (("gzip 4 + shuffle", ways.GZIP), ("contiguous", ways.PLAIN)):
        write = bench.gapped(lambda o=options: ways.write_ours(whole, bench.data, o))  # type: ignore[misc]
        write_part = bench.gapped(lambda o=options: ways.write_ours(small, part, o))  # type: ignore[misc]
        yield Case(
            f"linear, write, {name}: time of 8 parts",
            write,
            {"an eighth, 8 times": _eight_times(write_part)},
            (Target(1.15, "an eighth, 8 times"),),
            rounds=bench.rounds,
        )


def _eight_times(measure: Measure) -> Measure:
    def run() -> Figures:
        return {"time": sum(measure()["time"] for _ in range(8))}

    return run
