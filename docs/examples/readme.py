import asyncio
import os

from mt.aio import json_save, read_text, srun


async def count_words(source: str, target: str, context_vars: dict) -> int:
    text = await read_text(source, context_vars=context_vars)
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    await json_save(target, counts, context_vars=context_vars)  # all or nothing
    return len(counts)


# Called from plain code: no event loop, no thread.
print(srun(count_words, os.__file__, "words.json"))

# The same function, beside whatever else an event loop does.
print(asyncio.run(count_words(os.__file__, "words.json", context_vars={"async": True})))
