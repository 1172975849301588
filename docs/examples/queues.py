import asyncio
import queue
import threading

from mt.aio import qget_aio, qput_aio

questions, answers = queue.Queue(maxsize=2), queue.Queue()


def worker() -> None:  # any code that knows nothing of event loops
    while (question := questions.get()) is not None:
        answers.put(question**2)


async def main() -> None:
    thread = threading.Thread(target=worker)
    thread.start()
    for number in range(5):
        await qput_aio(questions, number)
        print(await qget_aio(answers, timeout=10))
    try:
        await qget_aio(answers, timeout=0.1)
    except queue.Empty:
        print("nothing more")
    await qput_aio(questions, None)
    thread.join()


asyncio.run(main())
