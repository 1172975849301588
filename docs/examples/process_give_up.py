import queue
import time

from mt.aio import BgProcess, srun


class Worker(BgProcess):
    def child_handle_message(self, msg: float) -> str:
        time.sleep(msg)
        return f"slept {msg} s"


with Worker() as worker:
    try:
        srun(worker.send, 600, recv_timeout=0.2, on_give_up="restart")
    except queue.Empty:
        print("too slow")
    print(srun(worker.send, 0))
