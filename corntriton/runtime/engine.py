"""Runs replays on threads: their tasks become calls of components, within each one's limit.

    run ──> ready tasks ──gate──> call (blocks a thread) ──> outputs ──> tasks that are ready now ──┐
               ^   parked in the component's queue while it is full                                 │
               └────────────── one goes on on this thread, the others on further threads <──────────┘

A chain of components therefore never changes its thread, and costs what a hand-written loop over the
same calls costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corntriton.runtime.limits import Gate
from corntriton.runtime.replay import Caller, Outputs, Replay, Task
from corntriton.runtime.threads import Workers


class Engine:
    """Runs replays on threads, the calls of each target within its limit."""

    def __init__(self, caller: Caller, limits: Mapping[str, int], workers: Workers) -> None:
        self.gates: dict[str, Gate[Task]] = {name: Gate(limit) for name, limit in limits.items()}
        self._caller = caller
        self._workers = workers

    def run(self, replay: Replay) -> None:
        """Begins a replay on this thread and goes on with it as far as one thread can."""
        try:
            task = self._admit(replay.begin())
        except Exception as error:
            replay.fail(None, error)
            return
        while task is not None:
            task = self._perform(task)

    def _perform(self, task: Task) -> Task | None:
        """Makes one call; gives the task to go on with on this thread."""
        replay, step = task.replay, task.step
        outputs: Outputs | None = None
        failure: Exception | None = None
        if not replay.over:
            try:
                outputs = self._call(task)
            except Exception as error:
                failure = error
        # Before the outputs are looked at: whoever waits for the component should not wait for that.
        parked = self.gates[step.target].leave()
        if parked is not None:
            self._hand_over(parked)
        if failure is not None:
            replay.fail(step, failure)
        elif not replay.over:
            try:
                return self._admit(replay.finish(task, outputs))
            except Exception as error:
                replay.fail(step, error)
        return None

    def _call(self, task: Task) -> Outputs | None:
        """The outputs of a call, or None where they were emitted as they came."""
        if not task.step.streams:
            return self._caller.call(task)
        for outputs in self._caller.stream(task):
            # What comes after the request's end must be taken all the same, or the server keeps it.
            if not task.replay.over:
                self._emit(task, outputs)
        return None

    def _emit(self, task: Task, outputs: Outputs) -> None:
        """Passes on a piece of a stream; this thread stays with the stream."""
        try:
            for ready in task.replay.emit(task, outputs):
                if self.gates[ready.step.target].enter(ready):
                    self._hand_over(ready)
        except Exception as error:
            task.replay.fail(task.step, error)

    def _admit(self, tasks: Sequence[Task]) -> Task | None:
        """Sends tasks through their gates: one that may go on now is returned, the others get threads."""
        mine = None
        for task in tasks:
            if self.gates[task.step.target].enter(task):
                if mine is None:
                    mine = task
                else:
                    self._hand_over(task)
        return mine

    def _hand_over(self, task: Task) -> None:
        self._workers.submit(lambda: self._go_on(task))

    def _go_on(self, task: Task | None) -> None:
        while task is not None:
            task = self._perform(task)
