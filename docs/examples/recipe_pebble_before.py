import time

from pebble import ProcessPool

if __name__ == "__main__":
    with ProcessPool(max_workers=1) as pool:
        future = pool.schedule(time.sleep, args=(600,), timeout=0.2)  # then the worker is killed
        try:
            future.result()
        except TimeoutError:
            print("too slow")
