import asyncio
import hashlib

from asgiref.sync import async_to_sync, sync_to_async


async def digest(data: bytes) -> str:
    return (await sync_to_async(hashlib.sha256)(data)).hexdigest()[:8]


print(async_to_sync(digest)(b"tea"))  # starts an event loop, and a thread
print(asyncio.run(digest(b"tea")))
