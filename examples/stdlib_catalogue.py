"""Catalogue the standard library of this interpreter twice, with one and the same function.

`catalogue`, below, is an asyn function: one `async def` that hands `context_vars` on to whatever
it awaits. `catalogue.sync` runs it in synchronous mode, without any event loop, and `asyncio.run`
runs `catalogue.aio` in asynchronous mode. Either way all `.py` files go through four stages:

    read    their bytes                                             read_binary, amap
    parse   them with `ast`, in child processes: counts and arrays  BgProcess, amap
    save    the counts of each in a JSON file, replaced whole       json_save, AprocManager
    store   the arrays of all in one HDF5 file, an index in JSON    CreateFileH5, json_save

In synchronous mode one thing happens after the other. In asynchronous mode they overlap, which
pays where there is something to wait for: the children, who parse at the same time. A file that
is in memory anyway is read or written sooner than a worker thread is reached. What the two modes
write must not differ, and the demo ends by checking that.

With `--cluster` the job is done once more, in asynchronous mode, with its child processes on the
workers of a dask cluster: two on this machine that are stopped afterwards, or with `--scheduler`
those of a cluster that is there already. For this the extra `mt-aio[dask]` is needed.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import io
import itertools
import os
import signal
import sys
import sysconfig
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from mt import aio
from mt.aio.core import amap, asyn
from mt.aio.core.lowlevel import ContextVars
from mt.aio.proc.lowlevel import Host

STDLIB = Path(sysconfig.get_path("stdlib"))
COLORS = ["#9aa5b1", "#3f51b5", "#e8833a"]
AT_ONCE = 64  # files under way at the same time, in asynchronous mode; an arbitrary number

Summary = dict[str, Any]
Arrays = dict[str, np.ndarray]


class Parser(aio.BgProcess):
    """A child process that parses sources; whatever they do to it, this process lives on."""

    def child_handle_message(self, msg: tuple[str, bytes]) -> tuple[Summary, Arrays]:
        """Measure one source: counts, and arrays with a number for each line."""
        name, content = msg
        lines = content.splitlines()
        length = np.array([len(line) for line in lines], np.int32)
        indentation = np.array([len(line) - len(line.lstrip()) for line in lines], np.int32)
        arrays = {"length": length, "indentation": indentation}
        comments = sum(line.lstrip().startswith(b"#") for line in lines)
        summary = {"bytes": len(content), "lines": len(lines), "comments": comments, "error": None}
        warnings.simplefilter("ignore")  # invalid escapes and the like are not our concern
        try:
            kinds, nesting = survey(ast.parse(content, name), len(lines))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
            return {**summary, "error": f"{type(exc).__name__}: {exc}"}, arrays
        counts = {
            "functions": kinds["FunctionDef"] + kinds["AsyncFunctionDef"],
            "classes": kinds["ClassDef"],
            "imports": kinds["Import"] + kinds["ImportFrom"],
            "deepest": int(nesting.max(initial=0)),
        }
        return {**summary, **counts}, {**arrays, "nesting": nesting}


def survey(tree: ast.Module, lines: int) -> tuple[Counter[str], np.ndarray]:
    """Count the statements by kind, and find how deep the innermost one of each line is nested."""
    kinds: Counter[str] = Counter()
    nesting = np.zeros(lines, np.int32)
    todo: list[tuple[ast.AST, int, int]] = [(tree, 0, sys.maxsize)]
    while todo:
        node, depth, column = todo.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.match_case):  # a `case` has no position of its own
                todo.append((child, depth, column))
            elif isinstance(child, ast.stmt | ast.excepthandler):
                inner = depth + (child.col_offset > column)  # not so for an `elif` or `except`
                nesting[child.lineno - 1 : child.end_lineno] = inner
                kinds[type(child).__name__] += 1
                todo.append((child, inner, child.col_offset))
    return kinds, nesting


@asyn
async def catalogue(
    names: list[str],
    folder: Path,
    children: int,
    host: Host | None = None,
    context_vars: ContextVars = {},
) -> dict[str, float]:
    """Do the whole job, in whichever mode, and tell how long each stage took."""
    seconds: dict[str, float] = {}
    stage = partial(timed, seconds, folder.name, len(names))
    many = partial(amap, max_concurrency=AT_ONCE, context_vars=context_vars)

    async def read(name: str, context_vars: ContextVars) -> bytes:
        return await aio.read_binary(STDLIB / name, context_vars=context_vars)

    async def parse(source: tuple[str, bytes], context_vars: ContextVars) -> tuple[Summary, Arrays]:
        result: tuple[Summary, Arrays] = await next(turns).send(source, context_vars=context_vars)
        return result

    with stage("read") as bar:
        contents = [content async for content in many(read, names, progress=bar)]
    with stage("parse") as bar, ExitStack() as stack:
        turns = itertools.cycle([stack.enter_context(Parser(host=host)) for _ in range(children)])
        sources = zip(names, contents, strict=True)
        parsed = [result async for result in many(parse, sources, progress=bar)]
    summaries = {name: summary for name, (summary, _) in zip(names, parsed, strict=True)}
    arrays = {name: group for name, (_, group) in zip(names, parsed, strict=True)}
    with stage("save") as bar:
        await save(summaries, folder / "summaries", bar, context_vars=context_vars)
    with stage("store") as bar:
        async with aio.CreateFileH5(folder / "lines.h5", context_vars=context_vars) as h5:
            await h5.run(store, arrays, h5.handle, bar)
        await aio.json_save(folder / "index.json", summaries, indent=1, context_vars=context_vars)
    return {**seconds, "all": sum(seconds.values())}


async def save(
    summaries: dict[str, Summary], folder: Path, bar: tqdm[Any], context_vars: ContextVars = {}
) -> None:
    """Save each summary in a JSON file, by delayed writes that the manager sees to their end."""
    async with aio.AprocManager(AT_ONCE, progress=bar) as manager:
        for name, summary in summaries.items():
            await manager.spawn(
                aio.json_save,
                folder / f"{name}.json",
                summary,
                context_vars=context_vars,
                file_write_delayed=True,
                make_dirs=True,
                indent=1,
            )


def store(arrays: dict[str, Arrays], file: h5py.File, bar: tqdm[Any]) -> None:
    """Store all arrays in an HDF5 file, a group for each source."""
    for name, group in arrays.items():
        for key, array in group.items():
            file.create_dataset(f"{name}/{key}", data=array)
        bar.update()


@contextmanager
def dask_host(scheduler: str | None) -> Iterator[Host]:
    """Give the workers of a cluster as a host; without a scheduler, of one that ends with this."""
    from distributed import Client, LocalCluster

    from mt.aio.dask import DaskHost

    with ExitStack() as stack:
        if scheduler is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            local = {"dashboard_address": ":0", "local_directory": folder, "silence_logs": 40}
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the workers inherit that
            try:
                cluster = LocalCluster(n_workers=2, threads_per_worker=1, **local)
                scheduler = stack.enter_context(cluster).scheduler_address
            finally:
                signal.signal(signal.SIGINT, before)
        yield DaskHost(stack.enter_context(Client(scheduler, timeout=20)))


@contextmanager
def timed(seconds: dict[str, float], mode: str, files: int, name: str) -> Iterator[tqdm[Any]]:
    """Show a stage's progress bar, and note how long the stage took."""
    interval = 0.1 if sys.stderr.isatty() else float("inf")  # a log gets its two ends only
    title = f"{mode:>7} {name:5}"
    start = time.perf_counter()
    with tqdm(desc=title, total=files, unit=" files", ncols=80, mininterval=interval) as bar:
        yield bar
    seconds[name] = time.perf_counter() - start


def results(folder: Path, names: list[str]) -> dict[str, tuple[Any, ...]]:
    """Gather all that a run wrote: JSON files byte by byte, HDF5 dataset by dataset."""
    texts = ["index.json", *(f"summaries/{name}.json" for name in names)]
    found: dict[str, tuple[Any, ...]] = {text: ((folder / text).read_bytes(),) for text in texts}
    with h5py.File(folder / "lines.h5") as file:
        for name in names:
            for key, data in file[name].items():
                found[f"lines.h5: {name}/{key}"] = (data.dtype, data.shape, data[()].tobytes())
    return found


def table(seconds: dict[str, dict[str, float]], files: int) -> str:
    """Lay out how long each stage took in each mode, and how many files it did a second."""
    rows = [f"{'stage':6}" + "".join(f"{mode:>10} s{'files/s':>10}" for mode in seconds)]
    for stage in seconds["sync"]:
        times = [by_stage[stage] for by_stage in seconds.values()]
        rows.append(f"{stage:6}" + "".join(f"{t:12.2f}{files / t:10,.0f}" for t in times))
    return "\n".join(rows)


def chart(seconds: dict[str, dict[str, float]], files: int) -> bytes:
    """Draw the files per second as a PNG: a panel for each stage, on a scale of its own."""
    from matplotlib.figure import Figure  # loading it takes longer than all the rest

    figure = Figure(figsize=(10, 3.4), dpi=150, layout="constrained")
    figure.suptitle(f"{files:,} files, one function, two modes: files per second in each stage")
    for axes, stage in zip(figure.subplots(1, len(seconds["sync"])), seconds["sync"], strict=True):
        speeds = [files / by_stage[stage] for by_stage in seconds.values()]
        bars = axes.bar([*seconds], speeds, width=0.6, color=COLORS[: len(speeds)])
        axes.bar_label(bars, [f"{speed:,.0f}" for speed in speeds], padding=3)
        axes.set(title=stage, yticks=[], ymargin=0.15)
        axes.spines[["top", "left", "right"]].set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def parse_options() -> argparse.Namespace:
    """Read the command line, and make sure that the output folder can be written to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add, few = parser.add_argument, min(4, os.cpu_count() or 1)
    add("--out", type=Path, metavar="DIR", default="out/catalogue", help="folder [%(default)s]")
    add("--limit", type=int, metavar="N", help="take the first N files only")
    add("--children", type=int, metavar="N", default=few, help="child processes [%(default)s]")
    add("--cluster", action="store_true", help="once more, with the children on a dask cluster")
    add("--scheduler", metavar="ADDRESS", help="of the cluster to use, instead of one made here")
    options = parser.parse_args()
    options.cluster |= options.scheduler is not None
    for name in ("limit", "children"):
        if (number := getattr(options, name)) is not None and number < 1:
            parser.error(f"argument --{name}: must be 1 or more, not {number}")
    runs = ["sync", "async", *(["cluster"] if options.cluster else [])]
    for folder in (options.out, *(options.out / run for run in runs)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as exc:
            parser.error(f"argument --out: no folder to write to: {folder}: {exc.strerror}")
    return options


def main() -> int:
    """Run the job in both modes, compare what they wrote, and report."""
    options = parse_options()
    sync, asynch = options.out / "sync", options.out / "async"
    paths = sorted({*STDLIB.rglob("*.py")} - {*STDLIB.glob("site-packages/**/*.py")})
    names = [path.relative_to(STDLIB).as_posix() for path in paths[: options.limit]]
    if not names:
        sys.exit(f"There are no .py files in {STDLIB}")
    for name in names:  # so that both modes find them where the system keeps what was just read
        (STDLIB / name).read_bytes()
    seconds = {"sync": catalogue.sync(names, sync, options.children)}
    seconds["async"] = asyncio.run(catalogue.aio(names, asynch, options.children))
    if options.cluster:
        with dask_host(options.scheduler) as host:
            on = catalogue.aio(names, options.out / "cluster", options.children, host)
            seconds["cluster"] = asyncio.run(on)

    one, *others = (results(options.out / run, names) for run in seconds)
    pairs = [(key, other) for other in others for key in {*one, *other}]
    different = sorted({key for key, other in pairs if one.get(key) != other.get(key)})
    index = aio.json_load.sync(sync / "index.json")
    not_parsed = {name: counts["error"] for name, counts in index.items() if counts["error"]}
    report = {"python": sys.version, "cpus": os.cpu_count(), "children": options.children}
    report |= {"seconds": seconds, "different": different, "not_parsed": not_parsed}
    aio.json_save.sync(options.out / "report.json", report, indent=1)
    aio.write_binary.sync(options.out / "chart.png", chart(seconds, len(names)))

    lines = [table(seconds, len(names))]
    lines += [f"not parsed: {name}: {error}" for name, error in not_parsed.items()]
    lines += [f"DIFFERENT: {key}" for key in different]
    verdict = f"{len(different):,} of them differ" if different else "identical in both modes"
    verdict += " and on the cluster" * (options.cluster and not different)
    print(*lines, f"{len(names):,} files made {len(one):,} results: {verdict}", sep="\n")
    print(f"See {options.out.resolve()}")
    return 1 if different else 0


def run() -> int:
    """Run the demo; a Ctrl-C stops it without a fuss."""
    try:
        return main()
    except BaseException as exc:
        cause: BaseException | None = exc
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = (
                cause.__context__
            )  # dask's workers get the Ctrl-C too, and surprise who stops them
        if cause is None:
            raise
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
