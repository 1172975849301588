"""AprocManager against a model: any order of sending, ending, cancelling and cleaning up."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mt.aio.manager import AprocManager

LIMIT = 2


class Machine(RuleBasedStateMachine):
    """Drives a manager on an event loop of its own, one turn at a time.

    The model: which aprocs must be running (the first LIMIT ones not ended, in the order in
    which they were sent), and which errors have to be reported and have been.
    """

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.manager = AprocManager(LIMIT)
        self.open = []  # numbers of aprocs not ended, in order
        self.ends = {}  # number -> future on which the aproc waits, once it runs
        self.sent = self.ended = 0
        self.expected = []
        self.reported = []
        self.expected_cancelled = self.reported_cancelled = False
        self.tasks = {}  # number -> task of the send
        self.cleaning = None

    async def _aproc(self, number):
        self.ends[number] = asyncio.get_running_loop().create_future()
        await self.ends[number]

    async def _turns(self):
        for _ in range(12):
            await asyncio.sleep(0)

    def turn(self):
        """Let the loop go on, then look at who has finished."""
        self.runner.run(self._turns())
        for number, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[number]
                self._look(task)
        if self.cleaning is not None and self.cleaning.done():
            assert self.cleaning.cancelled() or not self.open
            cleaning, self.cleaning = self.cleaning, None
            self._look(cleaning)

    def _look(self, task):
        if task.cancelled():
            try:
                task.result()
            except asyncio.CancelledError as error:
                if error.args == ("An aproc has been cancelled.",):
                    self.reported_cancelled = True
            return
        error = task.exception()
        for one in error.exceptions if isinstance(error, BaseExceptionGroup) else [error]:
            if isinstance(one, asyncio.CancelledError):
                self.reported_cancelled = True
            elif one is not None:
                self.reported.append(one.args[0])

    async def _send(self, number):
        self.tasks[number] = asyncio.ensure_future(self.manager.send(self._aproc(number)))

    @rule()
    def send(self):
        """Hand another aproc over."""
        self.runner.run(self._send(self.sent))
        self.open.append(self.sent)
        self.sent += 1
        self.turn()

    @rule(choice=st.integers(0, LIMIT - 1), how=st.sampled_from(["return", "fail", "cancel"]))
    def end(self, choice, how):
        """Let one of the running aprocs end."""
        running = self.open[:LIMIT]
        if not running:
            return
        number = running[choice % len(running)]
        end = self.ends[number]
        if how == "return":
            end.set_result(None)
        elif how == "fail":
            end.set_exception(ValueError(number))
            self.expected.append(number)
        else:
            end.cancel()
            self.expected_cancelled = True
        self.open.remove(number)
        self.ended += 1
        self.turn()

    @rule()
    def cancel_a_send(self):
        """Cancel the sender that has waited longest."""
        for task in self.tasks.values():
            task.cancel()
            break
        self.turn()

    @rule()
    def clean(self):
        """Begin to clean up, or give up what was begun."""
        if self.cleaning is None:

            async def begin():
                self.cleaning = asyncio.ensure_future(self.manager.cleanup())

            self.runner.run(begin())
        else:
            self.cleaning.cancel()
        self.turn()

    @invariant()
    def counts_agree(self):
        """What runs is what should run, and the counters say so."""
        manager = self.manager
        assert {n for n in self.open if n in self.ends} == set(self.open[:LIMIT])
        assert manager.running == len(self.open[:LIMIT])
        assert manager.pending == len(self.open[LIMIT:])
        assert manager.done == self.ended

    @invariant()
    def no_error_twice(self):
        """What was reported was an error, and was reported once."""
        assert len(set(self.reported)) == len(self.reported)
        assert set(self.reported) <= set(self.expected)

    def teardown(self):
        """After a cleanup, each error has been reported, and each aproc is done."""
        while self.open:
            self.end(0, "return")
        if self.cleaning is None:
            self.clean()
        self.turn()
        assert sorted(self.reported) == sorted(self.expected)
        assert self.reported_cancelled == self.expected_cancelled
        assert self.manager.done == self.sent
        self.runner.close()


@pytest.mark.slow
def test_model():
    """The manager and the model agree after any sequence of steps."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )
