import asyncio

from mt.aio import mkdtemp, read_text, srun, write_text


async def note(text: str, context_vars: dict) -> str:
    """Write to the folder that the caller has opened for the whole call tree."""
    path = f"{context_vars['folder']}/note.txt"
    await write_text(path, text, context_vars=context_vars)
    return await read_text(path, context_vars=context_vars)


async def main(context_vars: dict) -> str:
    async with mkdtemp(context_vars=context_vars) as folder:
        inner = {**context_vars, "folder": folder, "durability": "none"}
        return await note("mind the gap", context_vars=inner)


print(srun(main))
print(asyncio.run(main(context_vars={"async": True})))
