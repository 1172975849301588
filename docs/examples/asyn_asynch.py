import asyncio

from mt.aio import arun, arun2, read_text, srun, write_text


def first_line(path: str, context_vars: dict = {"async": False}) -> str:  # an asynch function
    async def work(context_vars: dict) -> str:
        return (await read_text(path, context_vars=context_vars)).partition("\n")[0]

    return arun(work, context_vars=context_vars)


async def shout(path: str, context_vars: dict) -> str:  # an asyn function that calls it
    line = await arun2(first_line, path, context_vars=context_vars)
    return line.upper()


srun(write_text, "poem.txt", "so much depends\nupon\n")
print(first_line("poem.txt"))  # old callers know nothing of modes
print(srun(shout, "poem.txt"))
print(asyncio.run(shout("poem.txt", context_vars={"async": True})))
