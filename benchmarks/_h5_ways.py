"""How ours and the peers write and read one array; what a child process does for the suite."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from mt.aio import h5
from mt.aio.core import srun
from mt.aio.h5 import _codec

ASYNC = {"async": True}
CHUNK = 2**18  # float32 values: 1 MiB
PLAIN: dict[str, Any] = {}
CHUNKED: dict[str, Any] = {"chunks": (CHUNK,)}
GZIP: dict[str, Any] = {**CHUNKED, "compression": "gzip", "compression_opts": 4, "shuffle": True}
LZF: dict[str, Any] = {**CHUNKED, "compression": "lzf"}
GZIP9: dict[str, Any] = {
    **CHUNKED,
    "compression": "gzip",
    "compression_opts": 9,
    "fletcher32": True,
}

Array = np.ndarray[Any, Any]


def sensor_data(size: int) -> Array:
    """Make what a sensor might give: a slow wave with some noise, in steps of 0.01."""
    count = size // 4
    noise = np.random.default_rng(0).normal(0, 0.01, count)
    wave = 20 + 5 * np.sin(np.arange(count) / 5000)
    return (wave + noise).round(2).astype("f4")


async def write_ours(
    path: str, data: Array, options: dict[str, Any], deflate: Any = "auto"
) -> None:
    """Write the array as a file's only dataset."""
    async with h5.CreateFileH5(path, context_vars=ASYNC) as f:
        await f.write("x", data, deflate=deflate, **options)


async def write_h5py(path: str, data: Array, options: dict[str, Any]) -> None:
    """Do the same as people do it without us: in the event loop."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=data, **options)


async def read_ours(path: str) -> Array:
    """Read the array."""
    async with h5.OpenFileH5(path, context_vars=ASYNC) as f:
        array: Array = await f.read("x")
        return array


async def read_h5py(path: str) -> Array:
    """Read the array in the event loop."""
    with h5py.File(path, "r") as file:
        array: Array = file["x"][()]
        return array


async def save_tree(path: str, data: Array) -> None:
    """Save the array in two compressed parts, and many small values."""
    half = len(data) // 2
    few = {f"n{number}": number for number in range(200)}
    tree = {"a": data[:half], "b": data[half:], "few": few}
    await h5.h5_save(path, tree, context_vars=ASYNC, **GZIP)


async def load_tree(path: str) -> None:
    """Load all that `save_tree` has saved."""
    await h5.h5_load(path, context_vars=ASYNC)


async def write_verified(path: str, data: Array) -> None:
    """Write the array, and read it back before the file gets its name."""
    async with h5.CreateFileH5(path, context_vars=ASYNC, verify=True) as f:
        await f.write("x", data, **GZIP)


async def change(path: str) -> None:
    """Open a large file, change a little in it, close it; then open and close it once more."""
    async with h5.OpenFileH5(path, "r+", ASYNC) as f:
        await f.run(f.handle.attrs.__setitem__, "changed", 1)
    async with h5.OpenFileH5(path, context_vars=ASYNC) as f:
        await f.run(list, f.handle)


async def write_handle(path: str, data: Array) -> None:
    """Leave all the work to HDF5, in the lane: it compresses while it writes, flushes, closes."""
    async with h5.CreateFileH5(path, context_vars=ASYNC) as f:
        dset = await f.run(f.handle.create_dataset, "x", data.shape, data.dtype, **GZIP)
        await f.run(dset.__setitem__, slice(None), data)
        await f.run(f.handle.flush)
        del dset


def zarr_reader(folder: str, data: Array) -> Callable[[], Awaitable[Any]]:
    """Save the array by zarr 3, with the same chunks and filters; return what reads it."""
    import zarr
    from numcodecs.zarr3 import Shuffle
    from zarr.codecs import GzipCodec

    compressors = [Shuffle(elementsize=4), GzipCodec(level=4)]
    array = zarr.create_array(folder, data=data, chunks=(CHUNK,), compressors=compressors)
    array = zarr.open_array(folder, mode="r")
    if not np.array_equal(array[:CHUNK], data[:CHUNK]):
        raise RuntimeError("zarr gives other values")

    async def read() -> Any:
        return array[:]

    return read


@contextmanager
def standard_zlib() -> Iterator[None]:
    """Let reading use the standard zlib, although a faster one is installed."""
    library = _codec._library  # noqa: SLF001  # readers are not asked: values never depend on it
    _codec._library = lambda choice: zlib if choice == "auto" else library(choice)  # noqa: SLF001
    try:
        yield
    finally:
        _codec._library = library  # noqa: SLF001


def compress(count: int) -> None:
    """Compress so many MiB, as the control's processes do."""
    data = sensor_data(2**20)
    planes = np.ascontiguousarray(data.view(np.uint8).reshape(-1, 4).T).tobytes()
    for _ in range(count):
        zlib.compress(planes, 4)


def extra_memory(job: str, path: str, size: int) -> float:
    """Do a job in this fresh process; return the MiB it took at most, beyond data and result."""
    data = sensor_data(size) if job.startswith("write") else sensor_data(2**20)
    small = path + ".small"
    run_job(job, small, data[:CHUNK])  # what is imported and allocated once is not counted
    if not job.startswith("write"):
        del data
    before = _memory("VmRSS")
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    result = run_job(job, path, data if job.startswith("write") else None)
    return (_memory("VmHWM") - before) / 2**20 - (0 if result is None else result.nbytes / 2**20)


def run_job(job: str, path: str, data: Array | None) -> Array | None:
    """Write, or read (what is there, or a small file made for it)."""
    import asyncio

    kind, options = job.split(" ")
    if kind == "write":
        chosen = {"gzip": GZIP, "plain": PLAIN, "lzf": LZF}[options]
        asyncio.run(write_ours(path, data, chosen))  # type: ignore[arg-type]
        return None
    if data is not None:
        srun(h5.h5_save, path, {"x": data})
    return asyncio.run(read_ours(path))


def _memory(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {name}")


if __name__ == "__main__":
    if sys.argv[1] == "compress":
        print("ready", flush=True)
        sys.stdin.readline()
        compress(int(sys.argv[2]))
    else:
        print(extra_memory(sys.argv[1], sys.argv[2], int(sys.argv[3])))
        os._exit(0)
