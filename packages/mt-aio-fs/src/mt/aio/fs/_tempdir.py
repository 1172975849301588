"""Temporary folders."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import offload
from mt.aio.fs._ensure import offload_surely

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from mt.aio.core.lowlevel import ContextVars


@asyn
def mkdtemp(context_vars: ContextVars = {}) -> AbstractAsyncContextManager[str]:
    """Open an asyn context manager that creates a temporary folder and removes it in the end.

    **Modes.** Asynchronous: creating and removing happen in a worker thread. Synchronous: right
    here; `async with` never suspends then.

    Args:
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Returns:
        The context manager. Its enter-value is the folder's path, a `str`; only this user can
        enter the folder. The whole tree is removed on exit, with read-only content; that it is
        gone already is no error.

    Raises:
        OSError: on entering and leaving: what the system reports

    **Cancellation**: the folder is removed before the cancellation goes on.

        async with mkdtemp(context_vars=context_vars) as tmpdir:
            await write_text(f"{tmpdir}/note.txt", "hello", context_vars=context_vars)
    """
    return _TemporaryFolder(context_vars)


class _TemporaryFolder:
    def __init__(self, context_vars: ContextVars) -> None:
        self._context_vars = context_vars
        self._folder: str | None = None

    async def __aenter__(self) -> str:
        try:
            return await offload(self._create, context_vars=self._context_vars)
        except BaseException as exc:
            await self.__aexit__(type(exc), exc, None)  # cancelled while it was being created
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        folder, self._folder = self._folder, None
        if folder is None:
            return
        if exc_type is GeneratorExit:  # the coroutine is thrown away, and cannot await any more
            remove_tree(folder)
        else:
            await offload_surely(partial(remove_tree, folder), context_vars=self._context_vars)

    def _create(self) -> str:
        from tempfile import mkdtemp as make

        self._folder = make(prefix="mt-aio-")
        return self._folder


def remove_tree(folder: str) -> None:
    """Remove a folder with all that is in it, also what is read-only or being removed by others.

    Not tempfile's own removal, which in older Pythons changes the modes of files that links in the
    folder lead to (CVE-2023-6597).
    """
    import shutil

    unlocked = False
    while os.path.lexists(folder):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue  # somebody else has removed a part of it
        except PermissionError:
            if unlocked:
                raise
            unlocked = True
            _unlock(folder)


def _unlock(folder: str) -> None:
    """Allow removing what is in a folder; links are left alone, with what they lead to."""
    os.chmod(folder, stat.S_IRWXU)
    for parent, folders, files in os.walk(folder):  # top down, so they are opened before entered
        # Whether a file may be removed is a matter of its folder, but on Windows of itself.
        for name in [*folders, *files] if os.name == "nt" else folders:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, stat.S_IRWXU)
