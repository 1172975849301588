import asyncio
from typing import Any

from distributed import Client

from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess


class Counter(BgProcess):
    total = 0

    def child_handle_message(self, msg: Any) -> int:
        self.total += msg
        print(f"added {msg}")
        return self.total

    def on_write(self, stream: str, text: str) -> None:
        print(f"over there, {stream}: {text}", end="")


async def main(address: str) -> None:
    async with (
        Client(address, asynchronous=True) as client,
        Counter(host=DaskHost(client)) as counter,
    ):
        for number in 3, 4:
            print("total:", await counter.send(number))


if __name__ == "__main__":
    from distributed import LocalCluster

    one = {"n_workers": 1, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**one) as cluster:  # instead of a real one
        asyncio.run(main(cluster.scheduler_address))
