import asyncio
import json

import aiofiles


async def main() -> None:
    state = {"step": 1}
    async with aiofiles.open("state.json", "w") as file:  # the old content is gone now
        await file.write(json.dumps(state))
    async with aiofiles.open("state.json") as file:
        print(json.loads(await file.read()))


asyncio.run(main())
