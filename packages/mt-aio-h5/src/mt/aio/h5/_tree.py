"""Whole HDF5 files as nested dictionaries: plain blocking code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mt.aio.h5._explain import explained, place
from mt.aio.h5._open import open_to_read
from mt.aio.h5._read import read_dataset
from mt.aio.h5._report import Progress, Report
from mt.aio.h5._write import How, write_dataset

if TYPE_CHECKING:
    import h5py


class H5Item:
    """A group or dataset together with its attributes, for `h5_save` and `h5_load`.

    Args:
        value: what it holds: an array, a number, a text, or a dict for a group.
        attrs: its attributes by name.
        **options: arguments of `h5py.Group.create_dataset` for this dataset, which come before
            those that `h5_save` was given for all.

    Attributes:
        value: as given.
        attrs: a dict of its own.
        options: likewise.
    """

    __slots__ = ("attrs", "options", "value")

    def __init__(self, value: Any, attrs: Mapping[str, Any] | None = None, **options: Any) -> None:
        self.value: Any = value
        self.attrs: dict[str, Any] = dict(attrs or {})
        self.options: dict[str, Any] = options

    def __repr__(self) -> str:
        rest = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"H5Item({self.value!r}, {self.attrs!r}{rest})"


class _Total:
    """One progress for many datasets; what is no array is too small to count."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.total = self._left = total
        self._report = Report(progress, total)

    def update(self, n: int) -> None:
        """Count `n` more bytes."""
        n = min(n, self._left)
        self._left -= n
        self._report.advance(n)

    def finish(self) -> None:
        """Count what is left."""
        self._report.finish()


def save_tree(file: h5py.File, path: str, tree: Mapping[str, Any], how: How) -> None:
    """Write a nested mapping into an empty file."""
    items = list(_walk("", tree))
    total = _Total(how.progress, sum(getattr(item.value, "nbytes", 0) for _, item in items))
    for name, item in items:
        if isinstance(item.value, Mapping):
            with explained(path, name or "/"):
                group = file.require_group(name or "/")
                for key, value in item.attrs.items():
                    group.attrs[key] = value
        else:
            value = _writable(item.value)
            # h5py refuses chunks and filters for a single value.
            options = {} if _is_single(value) else how.options
            mine = How({**options, **item.options}, how.deflate, total, item.attrs)
            write_dataset(file, path, name, value, mine)
    total.finish()


def _walk(name: str, value: Any, above: tuple[int, ...] = ()) -> Iterator[tuple[str, H5Item]]:
    """Give every group and dataset of a tree with its path."""
    item = value if isinstance(value, H5Item) else H5Item(value)
    yield name, item
    if isinstance(item.value, Mapping):
        if id(item.value) in above:
            raise ValueError(f"the mapping at {name!r} is a member of itself")
        for key, member in item.value.items():
            if not isinstance(key, str):
                raise TypeError(f"the names in a tree are str, not {key!r} (in {name or '/'!r})")
            if not key or key == "." or "/" in key or "\0" in key:
                text = f"{key!r} (in {name or '/'!r}) is no name in HDF5; nest dicts for groups"
                raise ValueError(text)
            yield from _walk(f"{name}/{key}", member, (*above, id(item.value)))


def _writable(value: Any) -> Any:
    """Give what h5py takes for what it does not take, or not as it is."""
    import h5py
    import numpy as np

    if isinstance(value, bytes):  # h5py would make text of it, which ends at a zero
        return np.void(value) if value else h5py.Empty("V1")
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "U":
        return np.asarray(value).astype(h5py.string_dtype())
    return value


def _is_single(value: Any) -> bool:
    import h5py

    if isinstance(value, (str, int, float, complex, h5py.Empty)):
        return True
    return getattr(value, "ndim", 1) == 0


class Loader:
    """Reads objects of an open file into memory."""

    def __init__(self, file: h5py.File, path: str, progress: Progress, *, attrs: bool) -> None:
        self._file = file
        self._path = path
        self._progress = progress
        self._attrs = attrs

    def load(self, selection: Any) -> Any:
        """Read everything, one object, or several; see `h5_load`."""
        if selection is None:
            return self._object("/")
        if isinstance(selection, str):
            return self._object(selection)
        if isinstance(selection, Mapping):
            return {name: self._dataset(name, part) for name, part in selection.items()}
        return {name: self._object(name) for name in _names(selection)}

    def _object(self, name: str, above: tuple[int, ...] = ()) -> Any:
        import h5py

        with explained(self._path, name):
            found = self._file.get(name)
        if found is None:
            raise KeyError(f"{self._path!r} has no {name!r}")
        value: Any
        if isinstance(found, h5py.Group):
            here = h5py.h5o.get_info(found.id).addr
            if here in above:
                raise ValueError(f"{place(self._path, name)}: the group is a member of itself")
            start = name.rstrip("/")
            value = {each: self._object(f"{start}/{each}", (*above, here)) for each in found}
        elif isinstance(found, h5py.Dataset):
            value = self._dataset(name, ())
        else:  # a named type, which holds no values
            value = found.dtype
        if self._attrs and len(found.attrs):
            with explained(self._path, name):
                return H5Item(value, dict(found.attrs))
        return value

    def _dataset(self, name: str, selection: Any) -> Any:
        value = read_dataset(self._file, self._path, name, selection, self._progress)
        return _text(self._file[name], value)


def load_tree(path: str, selection: Any, progress: Progress, *, attrs: bool) -> Any:
    """Read a whole file, one object of it, or several."""
    file = open_to_read(path)
    try:
        return Loader(file, path, progress, attrs=attrs).load(selection)
    finally:
        file.close()


def _names(selection: Any) -> list[str]:
    if isinstance(selection, Iterable):
        names = list(selection)
        if all(isinstance(name, str) for name in names):
            return names
    text = "selection is None, a name, several names, or a mapping of names to selections"
    raise TypeError(f"{text}, not {selection!r}")


def _text(dset: h5py.Dataset, value: Any) -> Any:
    """Make `str` of text, and `bytes` of what was saved as such."""
    import h5py
    import numpy as np

    if isinstance(value, np.void) and value.dtype.names is None:
        return value.tobytes()
    if isinstance(value, h5py.Empty):
        return b"" if value.dtype == np.dtype("V1") else value
    info = h5py.check_string_dtype(dset.dtype)
    if info is None or (info.length is not None and info.encoding != "utf-8"):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, np.ndarray):
        flat = [_decoded(each) for each in value.reshape(-1).tolist()]
        out = np.empty(len(flat), object)
        out[:] = flat
        return out.reshape(value.shape)
    return value


def _decoded(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
