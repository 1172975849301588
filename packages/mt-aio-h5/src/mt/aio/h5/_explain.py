"""Errors that name the file, the dataset and the cause, where HDF5 gives a stack of its own."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_KINDS = TypeError, ValueError, IndexError, KeyError, RuntimeError  # of h5py's errors
_ERRNO = re.compile(r"errno = (\d+), error message")
_NAME = re.compile(r"name = '(.*?)', ")
_CAUSE = re.compile(r"^(?:Unable to|Can't) .*?\((.*)\)$", re.DOTALL)
_SIZES = re.compile(r"eof = (\d+).*stored_eof = (\d+)")
_LOCKED = {errno.EAGAIN, errno.EACCES}

# What HDF5 says of a file that its writer never closed.
_UNCLOSED = ("object header version", "h5clear", "already open for write", "superblock")


@contextmanager
def explained(path: str, name: str | None = None) -> Iterator[None]:
    """Let errors of h5py say what is wrong with which file and dataset.

    The kind of an error stays what it is. Errors that name their file already are left alone.
    """
    try:
        yield
    except OSError as exc:
        if exc.filename is not None:
            raise
        raise _system_error(exc, path, name) from exc
    except UnicodeEncodeError as exc:
        raise ValueError(f"{place(path, name)}: {exc}") from exc
    except _KINDS as exc:
        if type(exc) not in _KINDS:
            raise
        if (error := system_error_in(exc, path, name)) is not None:
            raise error from exc
        text = f"{place(path, name)}: {_cause(exc)}{_advice(exc)}"
        raise type(exc)(text) from exc


def check_open(handle: object, path: str) -> None:
    """Say so if a file was closed by whoever has its handle.

    Raises:
        RuntimeError: it was
    """
    if not handle:
        raise RuntimeError(f"{path!r}: its handle was closed, so nothing can be done with it")


@contextmanager
def numbered(path: str, own: str) -> Iterator[None]:
    """Let errors of h5py that stand for a system's be such, and leave all others as they are.

    Args:
        path: what to call the file in errors
        own: the path by which HDF5 knows it; errors of other files are others
    """
    try:
        yield
    except Exception as exc:
        if (error := own_system_error(exc, path, own)) is not None:
            raise error from exc
        raise


def own_system_error(exc: BaseException, path: str, own: str) -> OSError | None:
    """Find the system's error in one of h5py's, unless that names another file."""
    named = _NAME.search(str(exc))
    return None if named and named[1] != own else system_error_in(exc, path)


def system_error_in(exc: BaseException, path: str, name: str | None = None) -> OSError | None:
    """Find the system's error of which h5py tells, by whatever kind of error.

    Returns:
        An error with its number and the path; None if there is no such, or if `exc` is that.
    """
    if type(exc) not in {OSError, *_KINDS} or getattr(exc, "filename", None) is not None:
        return None
    text = str(exc.args[-1]) if exc.args else ""  # a KeyError's own `str` would quote it
    return _system_error(OSError(text), path, name) if _ERRNO.search(text) else None


def could_not_write(exc: OSError, filepath: str) -> bool:
    """Tell whether an error, or what it was made of, is that HDF5 could not write this file."""
    texts = [str(each) for each in (exc, exc.__cause__)]
    return any("write failed" in text and filepath in text for text in texts)


def place(path: str, name: str | None) -> str:
    """Name a dataset in a file."""
    return repr(path) if name is None else f"{path!r}, dataset {name!r}"


def _cause(exc: BaseException) -> str:
    """Give what HDF5 says without its frame: `Unable to synchronously open file (cause)`."""
    text = str(exc.args[-1]) if exc.args else str(exc)
    found = _CAUSE.match(text)
    return found[1] if found else text


def _advice(exc: BaseException) -> str:
    text = str(exc)
    if "dtype('<U" in text or "dtype('>U" in text:
        return "; for text, convert the array by astype(h5py.string_dtype())"
    if "Object dtype" in text or "dtype('O')" in text:
        return "; HDF5 knows no Python objects: give numbers, text, or a dtype of h5py"
    return ""


def _system_error(exc: OSError, path: str, name: str | None) -> OSError:
    """Translate an error of reading or writing."""
    text, cause = str(exc), _cause(exc)
    number = exc.errno or (int(found[1]) if (found := _ERRNO.search(text)) else None)
    where = "" if name is None else f"Dataset {name!r}: "
    if number in _LOCKED and "lock" in text:
        return BlockingIOError(number, f"Is locked{_holder(path)}", path)
    if number is not None:
        told = os.strerror(number) if "errno = " in text else cause  # the rest are addresses
        return OSError(number, where + told, path)
    if name is not None:
        return OSError(errno.EIO, f"{where}cannot be read or written ({cause})", path)
    if (trouble := _trouble(text, cause)) is not None:
        return OSError(errno.EINVAL, trouble, path)
    return OSError(errno.EIO, f"HDF5 could not do what was wanted ({cause})", path)


def _trouble(text: str, cause: str) -> str | None:
    """Say what is wrong with the content of a file; None if that is not the trouble."""
    if "signature not found" in text:
        return "Is no HDF5 file"
    if (sizes := _SIZES.search(text)) or "truncated" in text:
        told = f": it has {sizes[1]} of {sizes[2]} bytes" if sizes else ""
        return f"Is truncated{told}"
    if any(part in text for part in _UNCLOSED):
        return f"Is damaged, or was not closed by whoever wrote it ({cause})"
    return None


def _holder(path: str) -> str:
    """Name who holds the lock of a file, where the system tells."""
    pids: list[str] = []
    with suppress(OSError, ValueError, IndexError):
        status = os.stat(path)
        with open("/proc/locks", encoding="ascii") as table:
            for line in table:
                fields = line.split()
                if "->" in fields:  # somebody who waits for it
                    continue
                major, minor, inode = fields[5].split(":")
                device = os.makedev(int(major, 16), int(minor, 16))
                if (device, int(inode)) == (status.st_dev, status.st_ino):
                    pids.append(fields[4])
    return " by " + " and ".join(_process(pid) for pid in dict.fromkeys(pids)) if pids else ""


def _process(pid: str) -> str:
    if pid == str(os.getpid()):
        return f"this very process ({pid})"
    with (
        suppress(OSError),
        open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file,
    ):
        command = " ".join(file.read().split("\0")).strip()
        return f"process {pid} ({command[:80]})"
    return f"process {pid}"
