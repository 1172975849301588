"""What `core.lowlevel` offers the pieces themselves."""

from __future__ import annotations

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
