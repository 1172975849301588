import asyncio

from mt.aio import AprocManager, mkdtemp, read_text, srun, write_text


async def save_all(texts, context_vars={}):
    """Save each text in a file of its own, and tell how many were saved."""
    async with mkdtemp(context_vars=context_vars) as folder:
        async with AprocManager(max_concurrency=8) as manager:
            for number, text in enumerate(texts):
                path = f"{folder}/{number}.txt"
                await manager.spawn(write_text, path, text, context_vars=context_vars)
        assert await read_text(f"{folder}/0.txt", context_vars=context_vars) == texts[0]
    return manager.done


texts = ["some", "short", "texts"]
print(srun(save_all, texts))
print(asyncio.run(save_all(texts, context_vars={"async": True})))
