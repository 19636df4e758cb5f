"""Runs replays on threads: their tasks become calls of components, within each one's limit.

    run ──> ready tasks ──gate──> call (blocks a thread) ──> outputs ──> tasks that are ready now ──┐
               ^   parked in the component's queue while it is full                                 │
               └────────────── one goes on on this thread, the others on further threads <──────────┘

A chain of components therefore never changes its thread, and costs what a hand-written loop over the
same calls costs. Calls of an executor wait at a gate for each set of components that they visit there: those
that queue for a slow one must not keep out those that have no need of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from corntriton.runtime.compiled import GateKey
from corntriton.runtime.limits import Gate
from corntriton.runtime.replay import Caller, Outputs, Replay, Task
from corntriton.runtime.threads import Workers


class Together(Protocol):
    """Makes one call for several tasks of the same step."""

    def rows(self, target: str) -> int:
        """How many tasks one call of the target may carry."""

    def call(self, tasks: Sequence[Task]) -> Sequence[Outputs] | None:
        """The outputs of each task; None where they have to be called one by one. May block."""


class Engine:
    """Runs replays on threads, the calls of each target within its limit.

    Args:
        caller: Makes the calls.
        limits: Calls that may be under way at each gate, by target.
        workers: The threads.
        together: Makes those that may be for several tasks at once; None where none may.
    """

    def __init__(
        self,
        caller: Caller,
        limits: Mapping[str, int],
        workers: Workers,
        together: Together | None = None,
    ) -> None:
        self._gates: dict[GateKey, Gate[Task]] = {}
        self._limits = limits
        self._caller = caller
        self._workers = workers
        self._together = together

    @property
    def gates(self) -> Mapping[GateKey, Gate[Task]]:
        """Those that anybody has come to so far."""
        return self._gates.copy()

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
        tasks = [task, *self._mates(task)]
        results: Sequence[Outputs | Exception | None] | None = None
        if self._together is not None and len(tasks) > 1:
            results = self._together.call(tasks)
        if results is None:
            self._set_apart(tasks)
            tasks, results = [task], [self._outcome(task)]
        # Before the outputs are looked at: whoever waits for the component should not wait for that.
        parked = self._gate(task).leave()
        if parked is not None:
            self._hand_over(parked)
        settled = [self._settle(each, result) for each, result in zip(tasks, results, strict=True)]
        ready = [each for each in settled if each is not None]
        for each in ready[1:]:
            self._hand_over(each)
        return ready[0] if ready else None

    def _mates(self, task: Task) -> list[Task]:
        """Tasks of other requests, which wait for the same step, to be called along with this one."""
        if self._together is None or not task.alive or task.alone:
            return []
        most = self._together.rows(task.step.target) - 1
        if not most:
            return []
        names = task.inputs.keys()
        return self._gate(task).join(
            lambda mate: mate.step is task.step and mate.inputs.keys() == names and not mate.alone, most
        )

    def _set_apart(self, tasks: Sequence[Task]) -> None:
        """What failed together is called one by one, so that nobody pays for another's fault: the first by
        this thread, which has a place for it, the others by those that they get.
        """
        first, *others = tasks
        first.alone = bool(others)
        for each in others:
            each.alone = True
            if self._gate(each).enter(each):
                self._hand_over(each)

    def _outcome(self, task: Task) -> Outputs | Exception | None:
        """What a call gives, or why not; None where its outputs were emitted, or nobody wants them."""
        if task.replay.over:
            return None
        try:
            return self._call(task)
        except Exception as error:
            return error

    def _settle(self, task: Task, result: Outputs | Exception | None) -> Task | None:
        """Hands a call's outputs on; gives the task to go on with."""
        replay, step = task.replay, task.step
        if isinstance(result, Exception):
            replay.fail(step, result)
        elif not replay.over:
            try:
                return self._admit(replay.finish(task, result))
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
                if self._gate(ready).enter(ready):
                    self._hand_over(ready)
        except Exception as error:
            task.replay.fail(task.step, error)

    def _admit(self, tasks: Sequence[Task]) -> Task | None:
        """Sends tasks through their gates: one that may go on now is returned, the others get threads."""
        mine = None
        for task in tasks:
            if self._gate(task).enter(task):
                if mine is None:
                    mine = task
                else:
                    self._hand_over(task)
        return mine

    def _gate(self, task: Task) -> Gate[Task]:
        key = task.step.gate
        gate = self._gates.get(key)
        # Of two threads that come first, both get the one that setdefault keeps.
        return gate or self._gates.setdefault(key, Gate(self._limits[task.step.target]))

    def _hand_over(self, task: Task) -> None:
        self._workers.submit(lambda: self._go_on(task))

    def _go_on(self, task: Task | None) -> None:
        while task is not None:
            task = self._perform(task)
