"""Random sequences of everything that can happen to tensors, against a model of who may still see what.

All parties live in this process; each has files, locks and mappings of its own, as if it were a process.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from corntriton.runtime.shm.credential import verify
from corntriton.runtime.shm.errors import ArenaFullError, InvalidRefError
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.shm.sweep import sweep

_MAX_BYTES = 64 * 1024
_N_REQUESTS = 4
choices = st.integers(0, 1 << 16)


@dataclass(eq=False)
class Request:
    owner: SharedMemory
    owned: OwnedRequest
    live: bool = True


@dataclass(eq=False)
class Tensor:
    producer: SharedMemory
    request: Request
    ref: bytes
    fill: int


@dataclass(eq=False)
class View:
    consumer: SharedMemory
    tensor: Tensor
    array: np.ndarray


class Lifetimes(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.directory = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="test-arena-"))
        self.parties = {"owner": [], "producer": [], "consumer": []}
        self.requests: list[Request] = []
        self.tensors: list[Tensor] = []
        self.views: list[View] = []
        self.made: list[tuple[SharedMemory, np.ndarray, int]] = []  # what makers still hold
        self.fill = 0
        for kind, members in self.parties.items():
            members.extend(self._start(kind) for _ in range(2))

    @rule(which=choices)
    def enter(self, which):
        owner = self._party("owner", which)
        held = [request for request in self.requests if request.live and request.owner is owner]
        if len(held) < _N_REQUESTS:
            self.requests.append(Request(owner, owner.owner.enter()))

    @rule(which=choices, size=st.integers(0, _MAX_BYTES // 3), in_place=st.booleans())
    def put(self, which, size, in_place):
        if not any(request.live for request in self.requests):
            self.enter(which)
        producer, request = self._party("producer", which), self._live_request(which // 2)
        tag = verify(request.owned.text, producer.regions)
        self.fill = self.fill % 250 + 1
        try:
            if in_place:
                array = producer.arena.empty((size,), np.uint8)
                array[...] = self.fill
            else:
                array = np.full(size, self.fill, np.uint8)
            ref = producer.arena.put(array, tag)
        except ArenaFullError:
            assert self._holds(producer)
            return
        self.tensors.append(Tensor(producer, request, ref, self.fill))
        if in_place and which % 4 == 0:
            self.made.append((producer, array, self.fill))

    @rule(which=choices, size=st.integers(0, _MAX_BYTES // 3))
    def ask_for_memory(self, which, size):
        producer = self._party("producer", which)
        try:
            array = producer.arena.empty((size,), np.uint8)
        except ArenaFullError:
            assert self._holds(producer)
            return
        array[...] = 0
        self.made.append((producer, array, 0))

    @precondition(lambda self: self.made)
    @rule(which=choices)
    def forget_memory(self, which):
        self.made.pop(which % len(self.made))

    @precondition(lambda self: self.tensors)
    @rule(which=choices)
    def read(self, which):
        recent = self.tensors[-6:]
        consumer, tensor = self._party("consumer", which), recent[which // 2 % len(recent)]
        try:
            array = consumer.reader.read(tensor.ref)
        except InvalidRefError:
            assert not tensor.request.live
            return
        self.views.append(View(consumer, tensor, array))

    @precondition(lambda self: self.views)
    @rule(which=choices)
    def drop(self, which):
        self.views.pop(which % len(self.views))

    @precondition(lambda self: any(request.live for request in self.requests))
    @rule(which=choices)
    def end(self, which):
        request = self._live_request(which)
        request.owned.end()
        request.live = False

    @rule()
    def sweep(self):
        sweep(self.directory)

    @precondition(lambda self: self.views)  # or too much would end before anything has happened
    @rule(kind=st.sampled_from(["owner", "producer", "consumer"]), which=choices, crash=st.booleans())
    def replace(self, kind, which, crash):
        """A process dies, or stops; another begins in its place."""
        party = self._party(kind, which)
        if crash:
            _crash(party)
        self.views = [view for view in self.views if view.consumer is not party]
        self.made = [one for one in self.made if one[0] is not party]
        if not crash:
            party.close()
        for request in self.requests:
            request.live &= request.owner is not party
        self.parties[kind][self.parties[kind].index(party)] = self._start(kind)

    @invariant()
    def nobody_sees_memory_that_was_used_again(self):
        for view in getattr(self, "views", []):
            assert (view.array == view.tensor.fill).all()
        for _, array, fill in getattr(self, "made", []):
            assert (array == fill).all()

    def teardown(self):
        if hasattr(self, "directory"):
            try:
                self._check_nothing_leaks()
            finally:
                shutil.rmtree(self.directory)

    def _check_nothing_leaks(self) -> None:
        for request in self.requests:
            if request.live:
                request.owned.end()
        self.views.clear()
        self.made.clear()
        late = self._start("owner")
        for producer in self.parties["producer"]:
            assert producer.arena.usage.used_bytes == 0
            assert producer.arena.put(np.zeros(_MAX_BYTES, np.uint8), late.owner.enter().tag)
        for party in [late, *(party for members in self.parties.values() for party in members)]:
            party.close()
        assert [*self.directory.iterdir()] == []

    def _start(self, kind: str) -> SharedMemory:
        n_requests = _N_REQUESTS if kind == "owner" else 0
        return SharedMemory(_MAX_BYTES, n_requests, n_slots=8, directory=self.directory)

    def _party(self, kind: str, which: int) -> SharedMemory:
        return self.parties[kind][which % 2]

    def _live_request(self, which: int) -> Request:
        live = [request for request in self.requests if request.live]
        return live[which % len(live)]

    def _holds(self, producer: SharedMemory) -> bool:
        """Whether anything justifies that this arena is full."""
        return (
            any(one is producer for one, *_ in self.made)
            or any(view.tensor.producer is producer for view in self.views)
            or any(tensor.producer is producer and tensor.request.live for tensor in self.tensors)
        )


def _crash(party: SharedMemory) -> None:
    """Its locks end; what it has written stays."""
    party.arena._backing.abandon()
    for region in party.regions._open.values():
        region.file.close()


TestLifetimes = Lifetimes.TestCase
TestLifetimes.settings = settings(
    max_examples=80, stateful_step_count=80, deadline=None, suppress_health_check=[*HealthCheck]
)
