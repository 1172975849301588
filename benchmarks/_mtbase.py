"""mtbase as a peer: in an environment of its own, for it owns the name `mt.aio` there.

This module is both ends. Imported, it offers `Mtbase`, which starts a Python that has mtbase on
this very file; run as a script there, it answers requests: a line of JSON with the suite, the case
and its sizes, then a line with the figures. The cases of suite `files` are the functions of
`mtbase_files.py`, which runs there only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 5.0  # seconds, arbitrary


class Mtbase:
    """A server that runs mtbase's side of a suite.

    Args:
        python: the Python that has mtbase; None if there is none
        suite: the suite's name
    """

    def __init__(self, python: str | None, suite: str) -> None:
        self._python, self._suite = python, suite
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if self._python:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
            self._server = subprocess.Popen(
                [self._python, __file__],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                text=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        if not self._server:
            return
        try:
            self._server.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:  # mtbase's children may hold it up for ever
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.communicate()

    def case(self, name: str, **size: Any) -> Callable[[], dict[str, float]] | None:
        """Give a measure of this case of mtbase's, or None where there is no mtbase."""
        return (lambda: self._ask(name, size)) if self._server else None

    def _ask(self, name: str, size: dict[str, Any]) -> dict[str, float]:
        assert self._server and self._server.stdin and self._server.stdout  # noqa: S101, PT018 - for mypy
        request = {"suite": self._suite, "case": name, "size": size}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer:
            raise RuntimeError(f"mtbase's side of {self._suite}/{name} died: see its traceback")
        figures: dict[str, float] = json.loads(answer)
        return figures


def serve() -> None:
    """Answer requests until there are no more."""
    # Prints of the measured code must not get between the answers.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            request = json.loads(line)
            module = importlib.import_module(f"mtbase_{request['suite']}")
            gc.collect()
            gc.freeze()  # as on the other side, see `run_case`
            figures = getattr(module, request["case"])(**request["size"])
            gc.unfreeze()
            print(json.dumps(figures), file=answers, flush=True)


if __name__ == "__main__":
    serve()
