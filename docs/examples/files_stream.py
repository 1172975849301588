import asyncio

from mt.aio import open_file, srun


async def longest_line(path: str, context_vars: dict) -> int:
    longest = 0
    async with open_file(path, context_vars=context_vars) as file:
        async for line in file:
            longest = max(longest, len(line.rstrip("\n")))
    return longest


async def write_lines(path: str, context_vars: dict) -> None:
    async with open_file(path, "w", context_vars=context_vars) as file:
        for word in ("ox", "camel", "cat"):
            await file.write(f"{word}\n")


srun(write_lines, "animals.txt")
print(srun(longest_line, "animals.txt"))
print(asyncio.run(longest_line("animals.txt", context_vars={"async": True})))
