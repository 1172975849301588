import asyncio

from distributed import Client

from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess


class Counter(BgProcess):
    total = 0

    def child_handle_message(self, msg):
        self.total += msg
        print(f"added {msg}")
        return self.total

    def on_write(self, stream, text):
        print(f"over there, {stream}: {text}", end="")


async def main(address):
    async with Client(address, asynchronous=True) as client:
        async with Counter(host=DaskHost(client)) as counter:
            for number in 3, 4:
                print("total:", await counter.send(number))


if __name__ == "__main__":
    from distributed import LocalCluster

    one = {"n_workers": 1, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**one) as cluster:  # instead of a real one
        asyncio.run(main(cluster.scheduler_address))
