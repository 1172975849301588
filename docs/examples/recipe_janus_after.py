import asyncio
import queue
import threading

from mt.aio import qget_aio

numbers: queue.Queue[int] = queue.Queue(maxsize=2)  # an ordinary one


def produce() -> None:
    for number in range(3):
        numbers.put(number)


async def main() -> None:
    thread = threading.Thread(target=produce)
    thread.start()
    for _ in range(3):
        print(await qget_aio(numbers))
    thread.join()


asyncio.run(main())
