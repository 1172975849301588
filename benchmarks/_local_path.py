"""A child on this machine, beside what it took before children could live on others.

As a program it measures one thing with the mt.aio that it finds, and prints the seconds. So each
run is a process of its own, and what another commit had needs no environment: only its sources.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from _harness import Case, Figures, Measure, Target

# The one before "Drive a process's child through a host".
COMMIT = "9b1d3412e048d613c40a9233c180b36b223edd2c"
BEFORE = "before the interface"
SIZES = {  # how many messages in a batch, of how many bytes, how many of them at once
    "one byte, one in flight": (500, 1, 1),
    "one byte, 32 in flight": (3_200, 1, 32),
    "1 MB": (20, 1_000_000, 1),
    "first child": (0, 1, 1),
}
BATCHES = 10


def local_cases(*, quick: bool) -> Iterator[Case]:
    """Measure what the interface of hosts costs where nobody needs one."""
    here = [str(path) for path in Path(__file__).parents[1].glob("packages/*/src")]
    with _sources() as there:
        for name, (count, size, width) in SIZES.items():
            job = [str(count // 5 if quick else count), str(size), str(width)]
            yield Case(
                f"local child: {name}",
                _measure(here, job),
                {BEFORE: _measure(there, job) if there else None},
                (Target(1.05, BEFORE),),
                notes=f"Against the commit {COMMIT[:7]}, out of the history. Messages: the best of "
                f"{BATCHES} batches, with parent and child on one core; left to the system, its "
                "choice of cores decides.",
            )


@contextmanager
def _sources() -> Iterator[list[str]]:
    """Lay down the sources of that commit; none, where there is no history."""
    command = ["git", "archive", COMMIT, "packages"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=False)
    if done.returncode:
        yield []
        return
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield [str(path) for path in Path(folder).glob("packages/*/src")]


def _measure(path: list[str], job: list[str]) -> Measure:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join(path)

    def measure() -> Figures:
        command = [sys.executable, __file__, *job]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
        return {"time": float(done.stdout)}

    return measure


def _main(count: int, size: int, width: int) -> None:
    import asyncio
    import time

    from _proc_echo import Echo

    import mt.aio.proc._link
    import mt.aio.proc._loops  # noqa: F401 - not a part of what is measured

    data = b"x" * size

    async def messages(process: Echo, number: int, times: list[float]) -> None:
        for _ in range(number):
            begin = time.perf_counter()
            await process.send(data)
            times.append(time.perf_counter() - begin)

    async def batch(process: Echo) -> float:
        times: list[float] = []
        begin = time.perf_counter()
        await asyncio.gather(*[messages(process, count // width, times) for _ in range(width)])
        taken = time.perf_counter() - begin
        return median(times) if width == 1 else taken / count

    async def main() -> float:
        if count and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
        begin = time.perf_counter()
        async with Echo() as process:
            await process.send(data)
            first = time.perf_counter() - begin
            return min([await batch(process) for _ in range(BATCHES)]) if count else first

    sys.stdout.write(f"{asyncio.run(main())}\n")


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:]))
