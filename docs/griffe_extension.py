"""mkdocstrings: three places where griffe shows something other than the source means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)
CONSTANT = re.compile(r"_?[A-Z][A-Z_]+")
NUMBER = re.compile(r"[\d._]+")


class HouseStyle(griffe.Extension):
    """Read the sources as their readers do."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Take a docstring's section `Example:` for what griffe calls `Examples:`."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(r"\1Examples:", obj.docstring.value)

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Show the mode of a file in octal, as it is written."""
        for parameter in func.parameters:
            if parameter.name == "file_mode" and str(parameter.default).isdigit():
                parameter.default = f"0o{int(str(parameter.default)):o}"

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Show the number that a default stands for, rather than a private name of it."""
        for func in functions(pkg):
            for parameter in func.parameters:
                if CONSTANT.fullmatch(str(parameter.default)):
                    value = constant(func.module, str(parameter.default))
                    if NUMBER.fullmatch(value):
                        parameter.default = value


def functions(parent: griffe.Object) -> Iterator[griffe.Function]:
    """Walk the functions and methods that are defined in a package."""
    for member in parent.members.values():
        if isinstance(member, griffe.Function):
            yield member
        elif isinstance(member, (griffe.Module, griffe.Class)):
            yield from functions(member)


def constant(module: griffe.Module, name: str) -> str:
    """Look up what a name in a module stands for, as it is written."""
    member = module.members.get(name)
    try:
        if isinstance(member, griffe.Alias):
            member = member.final_target
    except griffe.GriffeError:  # from a package that is not loaded
        return ""
    return str(getattr(member, "value", ""))
