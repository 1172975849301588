import asyncio
import os
import tempfile

from mt.aio import read_text, write_text
from mt.aio.core import asyn
from mt.aio.core.lowlevel import ContextVars


@asyn
async def shout(path: str, *, context_vars: ContextVars = {}) -> int:
    """Turn a text file into capitals, and tell how many characters it has."""
    text = await read_text(path, context_vars=context_vars)
    await write_text(path, text.upper(), context_vars=context_vars)
    return len(text)


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "note.txt")
    write_text.sync(path, "one body")
    print(shout.sync(path), read_text.sync(path))
    print(asyncio.run(shout.aio(path)))
