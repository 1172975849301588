"""What `core.lowlevel` offers the pieces, and errors that are raised before it is imported."""

from __future__ import annotations

import subprocess
import sys
from weakref import WeakValueDictionary

from mt.aio.core.lowlevel import living


class Thing:
    """Can be referred to weakly."""


def test_living():
    """What is still there, in order; what came to an end is left out."""
    things = [Thing() for _ in range(3)]
    registry = WeakValueDictionary(enumerate(things))
    references = registry.valuerefs()
    del things[1]
    assert living(references) == things


def test_living_while_others_come():
    """What is added meanwhile is not seen, and does no harm, as it would to `values`."""
    things = [Thing(), Thing()]
    registry = WeakValueDictionary(enumerate(things))
    for number, _ in enumerate(living(registry.valuerefs())):
        things.append(Thing())
        registry[number + 2] = things[-1]
    assert living(registry.valuerefs()) == things
    assert len(things) == 4


RAISE = """
import pickle, sys
from mt.aio.core import sleep, srun

async def suspends(context_vars):
    await never()

class never:
    def __await__(self):
        yield

for call in (lambda: srun(suspends), sleep(0, context_vars={}).send):
    try:
        call(*[None][: call.__name__ == "send"])
    except Exception as error:
        assert "mt.aio.core.lowlevel" not in sys.modules
        print(type(error), type(pickle.loads(pickle.dumps(error))) is type(error))
        del sys.modules["mt.aio.core.lowlevel"]
"""


def test_errors_are_public_whether_it_is_imported_or_not():
    """They bear its name, by which they are shown and pickled."""
    command = [sys.executable, "-c", RAISE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"<class 'mt.aio.core.lowlevel.{name}'> True"
        for name in ("SuspendError", "MissingModeError")
    ]
