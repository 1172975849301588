"""The life of a draft between entering and leaving a context, in both kinds of `with`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from mt.aio.h5._access import Access
from mt.aio.h5._draft import Draft
from mt.aio.h5._explain import own_system_error
from mt.aio.h5._lane import in_lane

if TYPE_CHECKING:
    from types import TracebackType

    import h5py

    from mt.aio.h5._draft import Plan
    from mt.aio.h5._open import Reader


class DraftContext(Access):
    """A context whose temporary file becomes the target when it is left.

    A subclass sets `_path`, `_plan`, `context_vars` and `logger`.
    """

    tmp_filepath: str
    handle: h5py.File
    logger: Any
    _path: str
    _plan: Plan
    _draft: Draft | Reader | None = None

    if not TYPE_CHECKING:  # or a checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            """Say why an attribute is not there yet."""
            hint = ""
            if name in {"handle", "tmp_filepath"}:
                hint = " before it is entered for the first time by `with` or `async with`"
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def __enter__(self) -> Self:
        """Create the temporary file, blocking."""
        draft = self._begin()
        try:
            draft.fetch_here()
            draft.open()
        except BaseException:
            self._draft = None
            draft.remove()
            raise
        return self._show(draft)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the file, or remove it if the body raised; blocking."""
        draft = self._end()
        if kind is None:
            try:
                draft.finish()
                draft.deliver_here()
            finally:
                draft.remove()
            self._log("%s: written", self._path)
        else:
            try:
                draft.abandon()
            finally:
                draft.remove()
            self._log("%s: left as it was, %s removed", self._path, self.tmp_filepath)
            self._number(error)

    async def __aenter__(self) -> Self:
        """Create the temporary file, where the mode says."""
        draft = self._begin()
        try:
            await draft.fetch(self.context_vars)
            await in_lane(draft.open, context_vars=self.context_vars)
        except BaseException as exc:
            self._draft = None
            try:
                await self._abandon(draft, exc)  # a cancellation may have come too late for `open`
            finally:
                draft.remove()
            raise
        return self._show(draft)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish the file, or remove it if the body raised; where the mode says."""
        draft = self._end()
        if error is None:
            try:
                await in_lane(draft.finish, context_vars=self.context_vars)
                await draft.deliver(self.context_vars)
            except BaseException as exc:
                await self._abandon(draft, exc)  # a cancellation may have withdrawn `finish`
                raise
            finally:
                draft.remove()
            self._log("%s: written", self._path)
        else:
            try:
                await self._abandon(draft, error)
            finally:
                draft.remove()
            self._log("%s: left as it was, %s removed", self._path, self.tmp_filepath)
            self._number(error)

    def _opened(self, *, writing: bool = False) -> Draft | Reader:  # noqa: ARG002  # all here can
        if self._draft is None:
            raise RuntimeError(f"{self!r} is not open: use it inside its context")
        return self._draft

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"

    def _begin(self) -> Draft | Reader:
        if self._draft is not None:
            raise RuntimeError(f"{self!r} is open already: use one object for each context")
        self._draft = self._draft_of()
        return self._draft

    def _draft_of(self) -> Draft | Reader:
        """Make the object that does the work."""
        return Draft(self._path, self._plan)

    def _show(self, draft: Draft | Reader) -> Self:
        self.tmp_filepath = draft.tmp_filepath
        self.handle = draft.handle
        self._log("%s: being written as %s", self._path, self.tmp_filepath)
        return self

    def _end(self) -> Draft | Reader:
        draft, self._draft = self._draft, None
        if draft is None:
            raise RuntimeError(f"{self!r} is not open, so it cannot be left")
        return draft

    async def _abandon(self, draft: Draft | Reader, reason: BaseException) -> None:
        """Remove an open draft, however often the task is cancelled meanwhile."""
        if isinstance(reason, GeneratorExit):  # a coroutine that is being closed must not await
            if draft.is_open:
                draft.abandon()
            return
        interrupted: BaseException | None = None
        while draft.is_open:
            try:
                await in_lane(draft.abandon, context_vars=self.context_vars)
            except BaseException as exc:  # noqa: BLE001  # raised below, when all is done
                interrupted = exc
        if interrupted is not None:
            raise interrupted

    def _number(self, error: BaseException | None) -> None:
        """Raise the system's error for one that h5py gave the body without its number."""
        if error is not None:
            better = own_system_error(error, self._path, self.tmp_filepath)
            if better is not None:
                raise better from error

    def _log(self, text: str, *args: object) -> None:
        if self.logger is not None:
            self.logger.debug(text, *args)
