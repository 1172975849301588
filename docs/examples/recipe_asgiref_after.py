import asyncio
import hashlib

from mt.aio import srun
from mt.aio.core.lowlevel import offload


async def digest(data: bytes, context_vars: dict) -> str:
    return (await offload(hashlib.sha256, data, context_vars=context_vars)).hexdigest()[:8]


print(srun(digest, b"tea"))  # neither a loop nor a thread
print(asyncio.run(digest(b"tea", context_vars={"async": True})))
