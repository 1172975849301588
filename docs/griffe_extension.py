"""mkdocstrings: two places where griffe shows something other than the source means."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


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
