"""What several of these test files use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import h5py
import pytest

from mt.aio.h5 import CreateFileH5


@pytest.fixture
def path(tmp_path):
    """A target that has content already."""
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["old"] = [1, 2]
    return path


@pytest.fixture(scope="session")
def names():
    """Tell what stands in the root of a file, as plain h5py sees it."""

    def names_in(path):
        with h5py.File(path, "r") as file:
            return list(file)

    return names_in


@pytest.fixture(params=["with", "async with"])
def enter(request, mode):
    """Run a function inside the context: by `with` or `async with`, in every mode."""

    def enter_it(body, *args, **kwargs):
        async def statement(context_vars):
            if request.param == "with":
                with CreateFileH5(*args, **kwargs) as context:
                    body(context)
            else:
                async with CreateFileH5(*args, context_vars=context_vars, **kwargs) as context:
                    body(context)
            return context

        return mode.run(statement)

    return enter_it


def _run_script(code, *args):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # nobody is to fork beside threads
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="session")
def run_script():
    """Run a program in a process of its own; give how it ended and what it printed."""
    return _run_script


_EACH = """
    import json, os, sys
    codes = []
    for at, case in enumerate(json.loads(sys.argv[2])):
        if not (pid := os.fork()):
            for fd in (1, 2):
                os.dup2(os.open(f"{sys.argv[1]}/{at}.{fd}", os.O_CREAT | os.O_WRONLY), fd)
            main(*case)
            sys.exit()
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(json.dumps(codes))
"""


@pytest.fixture(scope="session")
def run_each(tmp_path_factory):
    """Run the `main` of a program once for each list of arguments, each time in a new process.

    These processes are forks of one that has done the rest of the program, the imports above all,
    which take longer than all else; each ends in its own way.
    """

    def run(code, cases):
        folder = tmp_path_factory.mktemp("output")
        cases = [list(map(str, case)) for case in cases]
        whole = textwrap.dedent(code) + textwrap.dedent(_EACH)
        done = _run_script(whole, folder, json.dumps(cases))
        assert done.returncode == 0, done.stderr
        return [
            subprocess.CompletedProcess(case, code, *_printed(folder, at))
            for at, (case, code) in enumerate(zip(cases, json.loads(done.stdout), strict=True))
        ]

    return run


def _printed(folder, at):
    return [(folder / f"{at}.{fd}").read_text() for fd in (1, 2)]
