"""A place where a writer writes while faults are done to it, and what comes of each."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import _fault_files

HERE = Path(__file__).parent
PATIENCE = 20  # seconds; arbitrary: more than two calls that hang in the program
CALL = re.compile(r"(\d+) +(\w+)\((.*)")

Outcome = dict[str, Any]


def python_of(contestant: str) -> str | None:
    """Give the Python that has a contestant: mtbase has an environment of its own."""
    return os.environ.get("MT_AIO_BENCH_MTBASE") if contestant == "mtbase" else sys.executable


def started(
    program: str, contestant: str, *arguments: str, stdout: Any = subprocess.PIPE
) -> subprocess.Popen[str] | None:
    """Start a program of ours in a contestant's environment."""
    python = python_of(contestant)
    if python is None:
        return None
    environment = dict(os.environ)
    if contestant == "mtbase":
        environment.pop("PYTHONPATH", None)
    command = [python, "-W", "ignore", str(HERE / program), contestant, *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


class Place:
    """A file with the old content, to which a writer writes."""

    def __init__(self, writer: str) -> None:
        self.writer = writer
        self.folder = tempfile.mkdtemp(prefix="faults-")
        self.path = os.path.join(self.folder, "file")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def reset(self) -> None:
        """Have the old content there, and nothing else."""
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)
        Path(self.path).write_bytes(_fault_files.OLD)

    def run(self, act: str, *strace: str) -> tuple[int | None, str]:
        """Let the writer act, under strace with these options, if any; give its status and words.

        The status is None if it did not end in time, or could not be had.
        """
        self.reset()
        process = started("_fault_files.py", self.writer, act, self.path)
        if process is None:
            return None, ""
        tracer = None
        assert process.stdout is not None  # noqa: S101 - for mypy
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"{self.writer} could not be started for {act}")
            if strace:
                command = ["strace", "-f", "-y", "-o", self.folder + ".trace", *strace]
                tracer = subprocess.Popen(
                    [*command, "-p", str(process.pid)], stderr=subprocess.PIPE, text=True
                )
                assert tracer.stderr is not None  # noqa: S101 - for mypy
                tracer.stderr.readline()  # it is attached
            words = process.communicate("\n", timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None, ""
        finally:
            if tracer is not None:
                tracer.communicate()
        return process.returncode, words

    def trace(self) -> list[tuple[str, int, str]]:
        """Write once; give the system calls on the folder: name, how often by then, arguments."""
        self.run("once", "-s", "16")
        log = Path(self.folder + ".trace")
        counts: Counter[tuple[str, str]] = Counter()
        found, begun = [], False
        for line in log.read_text(errors="replace").splitlines():
            if match := CALL.match(line):
                thread, name, text = match.groups()
                counts[thread, name] += 1
                if '"/fault/end"' in text:
                    break
                begun = begun or '"/fault/begin"' in text
                if begun and self.folder in text:
                    found.append((name, counts[thread, name], text))
        log.unlink()
        return found


def killed(place: Place) -> Outcome:
    """Kill the writer at every system call on the folder."""
    seen: Counter[str] = Counter()
    for name, count in sorted({(name, count) for name, count, _ in place.trace()}):
        place.run("once", "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={count}")
        seen[_fault_files.look(place.path)] += 1
    Path(place.folder + ".trace").unlink(missing_ok=True)
    return judged(seen)


def no_space(place: Place) -> Outcome:
    """Let each system call on the folder fail once with ENOSPC."""
    seen: Counter[str] = Counter()
    for name, count in sorted({(name, count) for name, count, _ in place.trace()}):
        inject = f"inject={name}:error=ENOSPC:when={count}"
        status, _ = place.run("once", "-e", f"trace={name}", "-e", inject)
        content = _fault_files.look(place.path)
        seen["silent" if content == "old" and status == 0 else content] += 1
    Path(place.folder + ".trace").unlink(missing_ok=True)
    return judged(seen)


def judged(seen: Counter[str]) -> Outcome:
    """Say whether what was seen is always whole and told of; if not, how often."""
    bad = {word: seen[word] for word in ("missing", "torn", "silent") if seen[word]}
    words = {"missing": "no file", "torn": "torn", "silent": "old content, no error"}
    text = ", ".join(f"{words[word]} in {number}" for word, number in bad.items())
    total = sum(seen.values())
    return {"good": not bad, "text": f"{text} of {total}" if bad else f"whole, {total} of {total}"}


def unflushed(place: Place) -> Outcome:
    """See whether the content is on the disk before it gets its name."""
    order = []
    for name, _, text in place.trace():
        if name in {"fsync", "fdatasync"} or (name.startswith("rename") and "file" in text):
            order.append("rename" if name.startswith("rename") else "flush")
    if "rename" not in order:
        return {"good": False, "text": "written in place"}
    flushed = "flush" in order[: order.index("rename")]
    return {"good": flushed, "text": "flushed before" if flushed else "not flushed"}


def told(place: Place, act: str) -> dict[str, int] | None:
    """Let the writer act by itself; give what it tells."""
    status, words = place.run(act)
    if status != 0:
        return None
    found: dict[str, int] = json.loads(words.splitlines()[-1])
    return found


def watched(place: Place) -> Outcome:
    """Read all the time while the writer, a process of its own, rewrites."""
    place.reset()
    process = started("_fault_files.py", place.writer, "rewritten", place.path)
    assert process is not None  # noqa: S101 - for mypy
    assert process.stdin is not None  # noqa: S101 - likewise
    assert process.stdout is not None  # noqa: S101 - likewise
    process.stdout.readline()
    process.stdin.write("\n")
    process.stdin.flush()
    seen: Counter[str] = Counter()
    while process.poll() is None:
        seen[_fault_files.look(place.path)] += 1
    process.communicate()
    if process.returncode:
        return {"good": False, "text": "fails"}
    total = sum(seen.values())
    bad = {"no file": seen["missing"] / total, "torn": seen["torn"] / total}
    text = ", ".join(f"{word} in {share:.0%}" for word, share in bad.items() if share)
    return {"good": not text, "text": text or "whole always"}


def crowd(place: Place) -> Outcome:
    """Let many write at once."""
    seen = told(place, "crowd")
    if seen is None:
        return {"good": False, "text": "fails"}
    errors = seen.pop("errors")
    content = next(iter(seen))
    parts = [f"{errors} of 80 writes fail"] if errors else []
    parts += {"torn": ["torn"], "missing": ["no file"]}.get(content, [])
    return {"good": not parts, "text": ", ".join(parts) or "whole, no error"}


def cancelled(place: Place) -> Outcome:
    """Cancel."""
    seen = told(place, "cancelled")
    if seen is None:
        return {"good": False, "text": "fails"}
    ghosts = seen.pop("changed afterwards", 0)
    found = judged(Counter(seen))
    if ghosts:
        found["text"] += f"; changed afterwards in {ghosts}"
    return {"good": found["good"] and not ghosts, "text": found["text"]}


def many(place: Place) -> Outcome:
    """Have few descriptors."""
    seen = told(place, "many")
    failed = "all" if seen is None else seen["failed"]
    return {"good": failed == 0, "text": f"{failed} fail" if failed else "all succeed"}


def folder(place: Place) -> Outcome:
    """Write to a folder."""
    seen = told(place, "folder") or {"lost": 0, "told": 0}
    text = "its content is deleted" if seen["lost"] else "refused" if seen["told"] else "fails"
    return {"good": text == "refused", "text": text}


def link(place: Place) -> Outcome:
    """Write to a link."""
    seen = told(place, "link") or {"kept": 0}
    return {"good": bool(seen["kept"]), "text": "followed" if seen["kept"] else "replaced"}


FILES: dict[str, tuple[str, Callable[[Place], Outcome]]] = {
    "file-killed": ("SIGKILL at each system call of a write", killed),
    "file-space": ("ENOSPC at each system call of a write", no_space),
    "file-power": ("a power cut after the rename", unflushed),
    "file-watched": ("a reader during 200 writes", watched),
    "file-crowd": ("8 tasks write one path", crowd),
    "file-cancelled": ("100 writes cancelled", cancelled),
    "file-descriptors": ("1,000 writes at once, 64 descriptors", many),
    "file-folder": ("the target is a folder", folder),
    "file-link": ("the target is a symbolic link", link),
}
