import asyncio

from mt.aio import AprocManager, mkdtemp, read_text, srun, write_text
from mt.aio.core.lowlevel import ContextVars


async def save_all(texts: list[str], context_vars: ContextVars = {}) -> int:
    """Save each text in a file of its own, and tell how many were saved."""
    async with mkdtemp(context_vars=context_vars) as folder:
        async with AprocManager(max_concurrency=8) as manager:
            for number, text in enumerate(texts):
                path = f"{folder}/{number}.txt"
                await manager.spawn(write_text, path, text, context_vars=context_vars)
        print(await read_text(f"{folder}/0.txt", context_vars=context_vars))
    return manager.done


texts = ["some", "short", "texts"]
print(srun(save_all, texts))
print(asyncio.run(save_all(texts, context_vars={"async": True})))
