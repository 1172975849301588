"""The mode reader."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from mt.aio.core.lowlevel import MissingModeError, is_async


@pytest.mark.parametrize("value", [True, False])
def test_tells_the_mode(value):
    """Reference, introduction: `context_vars['async']` tells how the function is executed."""
    assert is_async({"async": value}) is value
    assert is_async(MappingProxyType({"other": 1, "async": value})) is value


def test_missing_key_is_a_key_error_that_tells_the_cure():
    """Without `"async"` the error is a KeyError whose text says what to pass."""
    with pytest.raises(KeyError) as caught:
        is_async({})
    assert type(caught.value) is MissingModeError
    assert "context_vars={'async': True}" in str(caught.value)


@pytest.mark.parametrize("value", [1, 0, None, "yes"])
def test_a_non_bool_is_refused(value):
    """The mode is a boolean variable; nothing else is taken for one."""
    with pytest.raises(TypeError, match=r"context_vars\['async'\] must be True or False"):
        is_async({"async": value})


@pytest.mark.parametrize("value", [None, 3])
def test_a_non_mapping_is_refused(value):
    """`context_vars` itself has to be a mapping."""
    with pytest.raises(TypeError, match="context_vars must be a mapping"):
        is_async(value)
