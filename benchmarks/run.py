"""Run benchmark suites: print a table of each, and keep its result in results/.

python benchmarks/run.py [--quick] [--rounds N] [--case TEXT] [SUITE ...]
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from _harness import Options, run_case

TIMES = "\N{MULTIPLICATION SIGN}"
HERE = Path(__file__).parent
PACKAGES = (
    *("mt-aio-core", "mt-aio-fs", "mt-aio-h5", "mt-aio-proc", "mt-aio-manager"),
    *("mt-aio-remote", "mt-aio-dask", "distributed"),
    *("aiofile", "aiofiles", "aiojobs", "aiometer", "aiomultiprocess", "anyio", "asgiref"),
    *("cloudpickle", "culsans", "h5py", "isal", "janus", "loky", "moto", "numpy", "obstore"),
    *("pebble", "s3fs", "trio", "trio-parallel", "uvloop", "zarr", "zlib-ng"),
)


def main() -> None:
    """Run what the command line asks for."""
    known = sorted(path.stem.removeprefix("suite_") for path in HERE.glob("suite_*.py"))
    parser = argparse.ArgumentParser(description="Speed of mt-aio beside that of its peers.")
    parser.add_argument(
        "suites", nargs="*", metavar="SUITE", help=f"of {', '.join(known)}; none: all"
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    parser.add_argument("--rounds", type=int, default=0, help="default: 9, or 5 with --quick")
    parser.add_argument("--case", default="", help="only cases whose name contains this; not kept")
    parser.add_argument("--keep", action="store_true", help="keep these, beside the other results")
    arguments = parser.parse_args()
    if unknown := set(arguments.suites) - set(known):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    options = Options(
        quick=arguments.quick,
        rounds=arguments.rounds or (5 if arguments.quick else 9),
        mtbase=os.environ.get("MT_AIO_BENCH_MTBASE"),
    )
    for suite in arguments.suites or known:
        report = run_suite(suite, options, arguments.case)
        path = HERE / "results" / f"{suite}{'-quick' if options.quick else ''}.json"
        if arguments.keep and path.exists():
            report = merged(json.loads(path.read_text(encoding="utf-8")), report)
        if arguments.keep or not arguments.case:
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def run_suite(name: str, options: Options, wanted: str = "") -> dict[str, Any]:
    """Run a suite's cases, printing each as it comes."""
    facts = machine()
    print(f"\n{name}: Python {facts['python']}, {facts['cores']} cores, load {facts['load']}")
    results = []
    for case in importlib.import_module(f"suite_{name}").cases(options):
        if wanted in case.name:
            results.append(run_case(case, options.rounds))
            show(results[-1])
    facts["load_after"] = os.getloadavg()[0]
    return {"suite": name, "quick": options.quick, "machine": facts, "cases": results}


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Put new results of some cases into an old report; each tells when it was measured."""
    date = new["machine"]["date"]
    cases = {case["case"]: case for case in old["cases"]}
    cases |= {case["case"]: case | {"date": date} for case in new["cases"]}
    return new | {"cases": list(cases.values())}


def show(result: dict[str, Any]) -> None:
    """Print a case: our figures, the ratios, the targets."""
    ours = ", ".join(
        f"{figure} {number(figure, spread['median'])}" for figure, spread in result["ours"].items()
    )
    print(f"\n  {result['case']}: {ours}")
    for peer, figures in result["peers"].items():
        ratios = ", ".join(
            f"{figure} {TIMES}{spread['ratio']['median']:.3f} "
            f"({spread['ratio']['min']:.3f}-{spread['ratio']['max']:.3f})"
            for figure, spread in figures.items()
        )
        print(f"    {peer:24} {ratios}")
    for target in result["targets"]:
        value, limit = target["value"], target["at_most"]
        state = {True: "reached", False: "NOT REACHED", None: "not measured"}[target["reached"]]
        if target["peer"]:
            shown = "" if value is None else f"{TIMES}{value:.3f} "
            print(f"    -> {target['figure']} {shown}of {target['peer']}, target {limit}: {state}")
        else:
            shown = number(target["figure"], value)
            limit = number(target["figure"], limit)
            print(f"    -> {target['figure']} {shown}, target {limit}: {state}")
    sys.stdout.flush()


def number(figure: str, value: float) -> str:
    """Write a figure with its unit."""
    if figure not in {"time", "gap", "cpu"}:
        return f"{value:g}"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def machine() -> dict[str, Any]:
    """Tell what the figures depend on."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    versions["mtbase"] = mtbase_version()
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": versions,
    }


def mtbase_version() -> str:
    """Ask the environment that has mtbase."""
    python = os.environ.get("MT_AIO_BENCH_MTBASE")
    if not python:
        return "not installed"
    ask = "import importlib.metadata as m; print(m.version('mtbase'))"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def processor() -> str:
    """Name the processor, where the system tells (Linux)."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2] for line in facts.splitlines() if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()


if __name__ == "__main__":
    main()
