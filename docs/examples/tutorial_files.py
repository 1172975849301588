import asyncio

from mt.aio import json_load, json_save, mkdtemp, srun, write_text


async def station(folder: str, name: str, celsius: list[float], context_vars: dict) -> None:
    """Keep the readings of a weather station: a log to look at, a summary to compute with."""
    log = "".join(f"{value:.1f}\n" for value in celsius)
    await write_text(f"{folder}/{name}.log", log, context_vars=context_vars)
    summary = {"name": name, "mean": sum(celsius) / len(celsius)}
    await json_save(f"{folder}/{name}.json", summary, context_vars=context_vars)


async def warmest(context_vars: dict) -> str:
    """Save two stations and read them back."""
    async with mkdtemp(context_vars=context_vars) as folder:
        await station(folder, "north", [3.5, 4.5], context_vars=context_vars)
        await station(folder, "south", [11.0, 13.0], context_vars=context_vars)
        paths = [f"{folder}/{name}.json" for name in ("north", "south")]
        found = [await json_load(path, context_vars=context_vars) for path in paths]
    return max(found, key=lambda summary: summary["mean"])["name"]


print(srun(warmest))
print(asyncio.run(warmest(context_vars={"async": True})))
