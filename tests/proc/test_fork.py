"""Forks of the parent: they hold nothing, harm nothing, and are told why they cannot send."""

from __future__ import annotations


def test_a_fork_of_the_parent(run_program, program):
    """It can end, collect and close without harm to the child; a send there says why not."""
    out = run_program(
        program("""
        fork = os.fork()
        if fork == 0:
            for attempt in (
                lambda: srun(process.send, (len, "")),
                lambda: asyncio.run(process.send((len, ""))),
                lambda: asyncio.run(process.aclose()) or process.close() or 1 / 0,
            ):
                try:
                    attempt()
                except RuntimeError as error:
                    print("fork of process" if "is a fork" in str(error) else error)
                except ZeroDivisionError:
                    print("closed")
            del process
            sys.exit()
        os.waitpid(fork, 0)
        print(srun(process.send, (len, "abc")))
        process.close()
        print(process.exitcode)
        """),
    )
    assert out.splitlines() == ["fork of process", "fork of process", "closed", "3", "0"]


def test_multiprocessing_in_the_parent(run_program, program):
    """A worker of multiprocessing that is forked has no part in the child, and can have its own."""
    out = run_program(
        program("""
        import multiprocessing
        def work():
            with Caller() as mine:
                print(srun(mine.send, (os.getpid,)) == mine.pid, flush=True)
        worker = multiprocessing.get_context("fork").Process(target=work)
        worker.start()
        worker.join()
        print(worker.exitcode, srun(process.send, (len, "abc")))
        """),
        "-W",
        "ignore::DeprecationWarning",
    )
    assert out.splitlines() == ["True", "0 3"]


def test_a_fork_where_there_is_no_pidfd(run_program, program):
    """The child's death is noticed although a fork of the parent lives."""
    run_program(
        program("""
        def none(pid, flags=0):
            raise OSError(38, "not here")
        os.pidfd_open = none
        process.restart()
        srun(process.send, (len, ""))
        fork = os.fork()
        if fork == 0:
            time.sleep(600)
            os._exit(0)
        try:
            srun(process.send, (exec, "import os; os._exit(3)"), recv_timeout=10)
        except RuntimeError as error:
            assert "status 3" in str(error), error
        finally:
            os.kill(fork, signal.SIGKILL)
            os.waitpid(fork, 0)
        """),
        "-W",
        "ignore::DeprecationWarning",
    )


def test_forks_while_threads_begin_with_a_queue(run_program):
    """Who forks while other threads wait for the first time leaves no child stuck."""
    program = """
    import asyncio, multiprocessing, signal, threading
    from mt.aio.proc import qget_aio, qput_aio

    fork = multiprocessing.get_context("fork")
    queue, got = fork.Queue(3), []

    def produce(first):
        signal.alarm(15)
        async def main():
            await asyncio.gather(*(qput_aio(queue, first + number) for number in range(10)))
        asyncio.run(main())

    async def consume():
        while (item := await qget_aio(queue)) is not None:
            got.append(item)

    consumers = [threading.Thread(target=asyncio.run, args=(consume(),)) for _ in range(3)]
    for consumer in consumers:
        consumer.start()
    producers = [fork.Process(target=produce, args=(first,)) for first in range(0, 40, 10)]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join()
    for _ in consumers:
        queue.put(None)
    for consumer in consumers:
        consumer.join()
    print(sorted(got) == list(range(40)), [producer.exitcode for producer in producers])
    """
    assert run_program(program, "-W", "ignore") == "True [0, 0, 0, 0]\n"
