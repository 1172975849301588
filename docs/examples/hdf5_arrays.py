import asyncio
from typing import Any

import numpy as np

from mt.aio.core import srun
from mt.aio.core.lowlevel import ContextVars
from mt.aio.h5 import CreateFileH5, OpenFileH5


async def save(path: str, data: Any, context_vars: ContextVars = {}) -> None:
    """Save an array, compressed on every core."""
    async with CreateFileH5(path, context_vars=context_vars) as f:
        await f.write("run/speed", data, compression="gzip", shuffle=True, attrs={"unit": "m/s"})


async def last(path: str, context_vars: ContextVars = {}) -> Any:
    """Read the last two values."""
    async with OpenFileH5(path, context_vars=context_vars) as f:
        return await f.read("run/speed", slice(-2, None))


data = np.arange(100_000)
srun(save, "a.h5", data)  # no event loop
asyncio.run(save("b.h5", data, context_vars={"async": True}))  # the loop goes on meanwhile
print(srun(last, "a.h5"), srun(last, "b.h5"))
