import asyncio
import threading

import janus


async def main() -> None:
    numbers: janus.Queue[int] = janus.Queue(maxsize=2)  # belongs to this loop

    def produce() -> None:
        for number in range(3):
            numbers.sync_q.put(number)

    thread = threading.Thread(target=produce)
    thread.start()
    for _ in range(3):
        print(await numbers.async_q.get())
    thread.join()
    await numbers.aclose()


asyncio.run(main())
