import queue
import time

from mt.aio import BgProcess, srun


class Sleeper(BgProcess):
    def child_handle_message(self, msg: float) -> None:
        time.sleep(msg)


with Sleeper() as sleeper:
    try:  # then the child is killed, and another one started
        srun(sleeper.send, 600, recv_timeout=0.2, on_give_up="restart")
    except queue.Empty:
        print("too slow")
