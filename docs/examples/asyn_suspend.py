import asyncio

from mt.aio import srun
from mt.aio.core.lowlevel import SuspendError


async def impatient(context_vars: dict) -> None:
    await asyncio.sleep(0)  # a mistake: this needs an event loop in either mode


try:
    srun(impatient)
except SuspendError as exc:
    print(str(exc).partition(" at ")[0])  # the rest names this file and the line of the await
