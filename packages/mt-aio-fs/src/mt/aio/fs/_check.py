"""Arguments at the door: what is wrong is said before anything is offloaded."""

from __future__ import annotations

import codecs
import operator

_HIGHEST_MODE = 0o7777
_NEWLINES = (None, "", "\n", "\r", "\r\n")


def check_file_mode(file_mode: object) -> None:
    """Refuse a file mode that is none.

    Args:
        file_mode: what was given as the mode: permission bits, or None for "leave it"

    Raises:
        TypeError: if it is neither an int nor None
        ValueError: if it is out of range
    """
    if file_mode is None:
        return
    if not isinstance(file_mode, int) or isinstance(file_mode, bool):
        raise TypeError(f"file_mode is an int such as 0o664, or None, not {file_mode!r}")
    if not 0 <= file_mode <= _HIGHEST_MODE:
        raise ValueError(f"file_mode is between 0 and 0o7777 (write it in octal), not {file_mode}")


def check_size(size: int | None) -> int | None:
    """Give the number of bytes to read; None, the whole file, also for a negative one."""
    if size is None:
        return None
    try:
        number = operator.index(size)
    except TypeError:
        raise TypeError(f"size is a number of bytes, or None for all, not {size!r}") from None
    return None if number < 0 else number


def check_text_options(encoding: str, errors: str, newline: str | None) -> None:
    """Refuse options that `open` would refuse, with the errors that it raises.

    Raises:
        TypeError: if one is of the wrong type
        LookupError: for an unknown encoding or error handler
        ValueError: for a newline that is none of open's five
    """
    "-".encode(encoding)  # unlike codecs.lookup this refuses bytes-to-bytes codecs
    codecs.lookup_error(errors)
    if newline not in _NEWLINES:
        raise ValueError(f"newline is one of {_NEWLINES}, not {newline!r}")
