"""Do the same faults to mt.aio and to its peers, and keep what comes of them.

python benchmarks/faults.py [FAULT ...]    no fault named: all; those named replace what is kept

Linux alone has the tools. The page of faults shows results/faults.json.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import _fault_files
import _fault_processes
from _fault_place import FILES, PATIENCE, Outcome, Place, python_of, started
from run import mtbase_version

HERE = Path(__file__).parent
RESULT = HERE / "results" / "faults.json"
PEERS = ("mt-aio", "aiofiles", "anyio", "atomicwrites", "loky", "pebble")

PROCESSES = {
    "process-killed": "SIGKILL while a call waits",
    "process-crashed": "a crash in native code",
    "process-left": "os._exit in the worker",
    "process-exited": "sys.exit in the worker",
    "process-odd_message": "an argument that cannot be pickled",
    "process-odd_result": "a result that cannot be pickled",
    "process-odd_error": "an exception that cannot be loaded",
    "process-native": "native code prints",
    "process-late": "a time-out, then another call",
    "process-orphan": "the parent is killed while the worker is busy",
    "process-forgotten": "the program ends without closing",
}


def of_process(way: str, fault: str) -> Outcome | None:
    """Do a fault to a way of having work done elsewhere.

    It speaks to a file, as a worker that is left over would keep a pipe open.
    """
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "said")
        with said.open("w") as file:
            process = started("_fault_processes.py", way, fault, stdout=file)
        if process is None:
            return None
        try:
            return orphan(process, said) if fault == "orphan" else answered(process, said, fault)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
            process.communicate()


def answered(process: subprocess.Popen[str], said: Path, fault: str) -> Outcome:
    """Wait for a program, and judge what it says."""
    try:
        status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return {"good": False, "text": "hangs"}
    if fault == "forgotten":
        return {"good": status == 0, "text": f"ends, status {status}"}
    if status:
        return {"good": False, "text": f"the program ends, status {status}"}
    found = json.loads(said.read_text().splitlines()[-1])
    how = found["ended"]
    if fault == "late":
        return {"good": how == "own reply", "text": how}
    good = (how == "answers") if fault == "native" else how not in {"answers", "hangs"}
    good = good and found["then"] != "then hangs"
    return {"good": good, "text": f"{how}; {found['then']}"}


def orphan(process: subprocess.Popen[str], said: Path) -> Outcome:
    """Kill the parent, and see whether its busy worker is gone after five seconds."""
    deadline = time.monotonic() + PATIENCE
    while not said.read_text().endswith("\n") and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int(said.read_text())
    time.sleep(0.3)  # the worker begins its work
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    good = not alive(worker)
    if not good:
        os.kill(worker, signal.SIGKILL)
    return {"good": good, "text": "ends, too" if good else "lives on"}


def alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def do(wanted: list[str]) -> None:
    """Do the faults that are wanted, and keep each result at once beside the old ones."""
    old = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {"groups": []}
    kept = {f["fault"]: f["outcomes"] for group in old["groups"] for f in group["faults"]}
    files = {name: text for name, (text, _) in FILES.items()}
    for names, faults in ((_fault_files.WRITERS, files), (_fault_processes.WAYS, PROCESSES)):
        for name, text in faults.items():
            if not wanted or name in wanted:
                kept[text] = {peer: found for peer in names if (found := done(name, peer))}
                keep(kept, files)


def keep(kept: dict[str, dict[str, Outcome]], files: dict[str, str]) -> None:
    """Write the results."""
    groups = [
        {
            "title": title,
            "contestants": list(names),
            "faults": [{"fault": t, "outcomes": kept.get(t, {})} for t in faults.values()],
        }
        for title, names, faults in (
            ("Files", _fault_files.WRITERS, files),
            ("Helper processes", _fault_processes.WAYS, PROCESSES),
        )
    ]
    text = json.dumps({"machine": machine(), "groups": groups}, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")


def done(name: str, contestant: str) -> Outcome | None:
    """Do a fault to a contestant, and print what came of it."""
    if python_of(contestant) is None:
        return None
    if name in FILES:
        with Place(contestant) as place:
            found: Outcome | None = FILES[name][1](place)
    else:
        found = of_process(contestant, name.removeprefix("process-"))
    print(f"{name:20} {contestant:22} {found}", flush=True)
    return found


def machine() -> dict[str, Any]:
    """Tell what the outcomes depend on."""
    versions = {}
    for name in PEERS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    if python_of("mtbase"):
        versions["mtbase"] = mtbase_version()
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": versions,
    }


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Faults done to mt.aio and to its peers.")
    known = [*FILES, *PROCESSES]
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(known)}")
    wanted = parser.parse_args().faults
    if unknown := set(wanted) - set(known):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    if sys.platform != "linux" or shutil.which("strace") is None:
        parser.error("it takes Linux, and strace")
    do(wanted)


if __name__ == "__main__":
    main()
