"""Set the version of all distributions, and the pins between them."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def set_version(root: Path, version: str) -> None:
    """Write VERSION and the pins of the members' metadata.

    The facade pins its pieces exactly. A piece takes any patch release of the same minor version of
    another: with exact pins there, upgrading mt-aio alone would leave a broken environment.

    Args:
        root: the checkout.
        version: three numbers with dots between them.

    Raises:
        ValueError: `version` is anything else; nothing has been written.
    """
    match = re.fullmatch(r"(\d+)\.(\d+)\.\d+", version)
    if match is None:
        raise ValueError(f"a version is three numbers, as in 1.2.0, not {version!r}")
    major, minor = match[1], int(match[2])
    (root / "VERSION").write_text(f"{version}\n")
    for path in root.glob("packages/*/pyproject.toml"):
        text = path.read_text()
        text = re.sub(r'("mt-aio-[a-z0-9]+(\[\w+\])?==)[\d.]+"', rf'\g<1>{version}"', text)
        text = re.sub(
            r'("mt-aio-[a-z0-9]+)>=[\d.]+,<[\d.]+"',
            rf'\g<1>>={major}.{minor}.0,<{major}.{minor + 1}"',
            text,
        )
        path.write_text(text)


if __name__ == "__main__":
    try:
        set_version(Path(__file__).parents[1], sys.argv[1])
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
