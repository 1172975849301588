import asyncio
import gzip

from mt.aio import read_binary, srun, write_binary
from mt.aio.core.lowlevel import ContextVars, offload


async def gzip_file(path: str, context_vars: ContextVars = {}) -> int:
    """Compress a file, beside the original, and tell the size of the result."""
    content = await read_binary(path, context_vars=context_vars)
    # A plain blocking function: called right here, or in a worker thread.
    packed = await offload(gzip.compress, content, 9, context_vars=context_vars)
    return await write_binary(f"{path}.gz", packed, context_vars=context_vars)


srun(write_binary, "zeros.bin", bytes(100_000))
small = srun(gzip_file, "zeros.bin")
print(small < 1000)
print(small == asyncio.run(gzip_file("zeros.bin", context_vars={"async": True})))
