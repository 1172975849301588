"""The signatures of the API reference, of which reference_signatures.txt is a copy, are ours."""

from __future__ import annotations

import ast
import inspect
from inspect import Parameter
from pathlib import Path
from typing import NamedTuple

import pytest

import mt.aio

COPY = Path(__file__).with_name("reference_signatures.txt")

# Published callers of mtbase pass it by position, after file_write_delayed.
POSITIONAL_ADDITIONS = {"make_dirs"}


class Reference(NamedTuple):
    """A line of the reference: what is called, whether it is awaited, and its parameters."""

    name: str  # below mt.aio
    awaited: bool
    parameters: list[tuple[str, object, object]]  # name, kind, default


def _parse(line: str, owner: str) -> Reference:
    """Read `async mt.aio.sleep(secs: float, context_vars: dict = {})` and the like."""
    name, _, rest = line.strip().removeprefix("class ").partition("(")
    awaited = name.startswith("async ")
    name = name.removeprefix("async ").removeprefix("mt.aio.")
    arguments = rest.rpartition(")")[0]
    code = f"def _({arguments}): pass"
    function = ast.parse(code).body[0]
    found = function.args
    defaults = [ast.literal_eval(node) for node in found.defaults]
    defaults = [Parameter.empty] * (len(found.args) - len(defaults)) + defaults
    parameters = [
        (arg.arg, Parameter.POSITIONAL_OR_KEYWORD, default)
        for arg, default in zip(found.args, defaults, strict=True)
    ]
    if found.vararg:
        parameters.append((found.vararg.arg, Parameter.VAR_POSITIONAL, Parameter.empty))
    for arg, node in zip(found.kwonlyargs, found.kw_defaults, strict=True):
        parameters.append((arg.arg, Parameter.KEYWORD_ONLY, ast.literal_eval(node)))
    if found.kwarg:
        parameters.append((found.kwarg.arg, Parameter.VAR_KEYWORD, Parameter.empty))
    return Reference(f"{owner}.{name}" if line.startswith(" ") else name, awaited, parameters)


def _references() -> list[Reference]:
    owner = ""
    found = []
    for line in COPY.read_text().splitlines():
        found.append(_parse(line, owner))
        if line.startswith("class "):
            owner = found[-1].name
    return found


def _ours(name: str) -> object:
    found: object = mt.aio
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _parameters(found: object) -> list[Parameter]:
    parameters = list(inspect.signature(found).parameters.values())
    return parameters[1:] if parameters and parameters[0].name == "self" else parameters


REFERENCES = _references()
BY_NAME = pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)


def test_copy_is_whole():
    """All functions, classes and methods that the reference describes are compared."""
    assert len(REFERENCES) == 23
    assert sum(reference.awaited for reference in REFERENCES) == 16


@BY_NAME
def test_signature(reference):
    """Names, order, kinds and defaults are the reference's, apart from what we add."""
    specified = {name for name, _, _ in reference.parameters}
    ours = [p for p in _parameters(_ours(reference.name)) if p.name in specified]
    assert [(p.name, p.kind, p.default) for p in ours] == reference.parameters


@BY_NAME
def test_additions_are_keyword_only(reference):
    """What we add cannot be hit by a positional argument, with one stated exception."""
    specified = {name for name, _, _ in reference.parameters}
    parameters = _parameters(_ours(reference.name))
    for before, parameter in zip([None, *parameters], parameters, strict=False):
        if parameter.name in specified or parameter.kind is Parameter.KEYWORD_ONLY:
            continue
        assert parameter.name in POSITIONAL_ADDITIONS
        assert before.name == "file_write_delayed"


@BY_NAME
def test_additions_are_optional(reference):
    """A call that the reference allows needs none of what we add."""
    specified = {name for name, _, _ in reference.parameters}
    for parameter in _parameters(_ours(reference.name)):
        if parameter.name not in specified:
            assert parameter.default is not Parameter.empty


@pytest.mark.parametrize(
    "reference", [found for found in REFERENCES if found.awaited], ids=lambda found: found.name
)
def test_awaited(reference):
    """What the reference calls async returns a coroutine."""
    ours = _ours(reference.name)
    promised = str(inspect.signature(ours).return_annotation)
    assert inspect.iscoroutinefunction(ours) or promised.startswith("Coroutine[")
