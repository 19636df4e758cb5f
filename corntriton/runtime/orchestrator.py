"""The orchestrator inside Triton: takes requests of a model, replays their paths, answers as they end.

    execute ──> CarriedRequest ──worker──> facts ─PathCache─> path ─compile─> Replay ─Engine─> answer
                     └── watched by the Sweeper: deadline, client gone

One implementation serves both transaction policies; which one this model has says its config.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as File
from typing import TYPE_CHECKING, Any

from corntriton.record.flow import load_flow
from corntriton.runtime.bls import BlsWay
from corntriton.runtime.calls import Calls, Context
from corntriton.runtime.carried import FINAL, CarriedRequest
from corntriton.runtime.engine import Engine
from corntriton.runtime.exchange import Exchange
from corntriton.runtime.failures import OverloadError, message
from corntriton.runtime.incoming import asked_for
from corntriton.runtime.joint import JointCaller
from corntriton.runtime.limits import calls_at_once
from corntriton.runtime.metrics import Meter, Reporter, Series, target_labels
from corntriton.runtime.numpy_check import numpy_problem
from corntriton.runtime.paths import Paths
from corntriton.runtime.refs import Refs
from corntriton.runtime.remote.addresses import OWN_VARIABLE
from corntriton.runtime.replay import Outputs, Replay
from corntriton.runtime.routing import Router
from corntriton.runtime.settings import OrchestratorSettings
from corntriton.runtime.shm.errors import ArenaFullError
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.spent import SpentStreams
from corntriton.runtime.sweeper import Sweeper
from corntriton.runtime.threads import Workers
from corntriton.runtime.values import TensorValue, tensor_of

if TYPE_CHECKING:
    from corntriton.runtime.remote.elsewhere import Elsewhere
    from corntriton.runtime.remote.loopback import LoopbackWay

# Beside the threads that calls may block: for requests that begin or end meanwhile.
_SPARE_THREADS = 4
# A request that has ended keeps its cell until nothing it asked for is under way; joint ones have cells too.
_CELLS_PER_REQUEST = 2
_DRAIN_S = 20.0


class Orchestrator:
    """Carries the requests of one model; at most `max_in_flight` of them at once."""

    def __init__(self, pb_utils: Any, folder: File, name: str, streams: bool) -> None:
        """Loads the flow and the recorded paths.

        Args:
            pb_utils: Triton's module.
            folder: The version folder, which holds orchestrator.json and code/.
            name: Of the Triton model.
            streams: Its transaction policy is decoupled.

        Raises:
            UserError: The flow cannot be loaded.
        """
        self.pb_utils = pb_utils
        self.streams = streams
        self._settings = settings = OrchestratorSettings.load(folder / "orchestrator.json")
        self._model = settings.model
        self.model_name = settings.model.name
        self._meter = Meter()
        self.spent = SpentStreams()
        self._memory = SharedMemory(settings.arena_bytes, _CELLS_PER_REQUEST * settings.max_in_flight)
        self._router = Router(settings)
        exchange = Exchange(settings.targets)
        self._elsewhere = self._reach_others(exchange)
        self._loopback = self._stream_by_grpc(exchange, bls := BlsWay(pb_utils, exchange, self.spent))
        here, there = self._loopback or bls, self._elsewhere
        caller = Calls(settings.targets, self._meter, exchange, here, there.way if there else None)
        limits = {name: target.max_in_flight for name, target in settings.targets.items()}
        self._workers = Workers(name, sum(map(calls_at_once, settings.targets.values())) + _SPARE_THREADS)
        self._caller = caller
        together = JointCaller(pb_utils, settings.targets, self._meter, self._memory)
        self._engine = Engine(caller, limits, self._workers, together)
        flow = load_flow(settings.flow, folder / "code")
        down = self._elsewhere.servers if self._elsewhere is not None else None
        self._paths = Paths(settings, flow, self._router, streams, self._meter.recorded, down)
        self._labels = target_labels(settings.targets)
        self._sweeper = Sweeper()
        self._held = 0
        self._closing = False
        self._changed = threading.Condition()
        labels = {"model": settings.model.name, "orchestrator": name}
        several = self._elsewhere is not None
        self._reporter = Reporter(pb_utils, self._meter, labels, self._gauges, several)

    @property
    def is_ready(self) -> bool:
        """Whether the servers are up that the requests need which it knows."""
        return self._elsewhere is None or self._router.is_served(self._elsewhere.servers.down)

    def accept(self, request: Any) -> None:
        """Takes a request; its answer comes through its response sender."""
        sender = request.get_response_sender()
        owned = self._enter()
        if owned is None:
            self._refuse(sender)
            return
        carried = CarriedRequest(self, sender, self._context(request, owned))
        self._sweeper.watch(carried)
        self._workers.submit(lambda: self._begin(carried, request))

    def close(self) -> None:
        """Waits for the requests under way, ends those that take too long, and stops everything."""
        with self._changed:
            self._closing = True
            self._changed.wait_for(lambda: not self._held, _DRAIN_S)
        self._sweeper.end_all(OverloadError("the model is being unloaded"))
        self._sweeper.close()
        self._workers.close()
        self._reporter.close()
        if self._elsewhere is not None:
            self._elsewhere.close()
        if self._loopback is not None:
            self._loopback.close()
        self._memory.close()

    def tensors(self, outputs: Outputs, wanted: frozenset[str]) -> list[Any]:
        """The wanted ones of the model's outputs as tensors of the server."""
        ports = self._model.ports.outputs
        return [
            tensor_of(self.pb_utils, name, value, ports[name], batched=False)
            for name, value in outputs.items()
            if name in wanted
        ]

    def begin_again(self, request: CarriedRequest) -> bool:
        """Begins a request anew, on another draw, where a server was lost that worked for it; once."""
        replay, elsewhere = request.replay, self._elsewhere
        if elsewhere is None or replay is None or request.over or request.told or request.is_second:
            return False
        visited = [self._settings.targets[step.target] for step in replay.path.steps]
        if not all(one.idempotent and not one.stateful and not one.stateful_members for one in visited):
            return False
        request.is_second = True
        self._meter.replayed(self._label(request.path))
        self._workers.submit(lambda: self._begin_anew(request, replay.inputs, elsewhere))
        return True

    def left(self, request: CarriedRequest, outcome: str) -> None:
        """A request has had its final answer."""
        request.context.owned.end()
        self._meter.request(self._label(request.path), outcome, time.perf_counter() - request.begin_s)
        with self._changed:
            self._held -= 1
            if self._closing:
                self._changed.notify()

    def _refuse(self, sender: Any) -> None:
        """Answers at once: more requests than it may hold."""
        pb_utils, limit = self.pb_utils, self._settings.max_in_flight
        failure = OverloadError(
            "it is being unloaded" if self._closing else f"it holds {limit} requests, its limit"
        )
        text = message(self.model_name, None, None, failure)
        error = pb_utils.TritonError(text, getattr(pb_utils.TritonError, failure.code))
        sender.send(pb_utils.InferenceResponse(output_tensors=[], error=error), flags=FINAL)
        self._meter.request(self._label(None), failure.outcome, 0.0)

    def _enter(self) -> OwnedRequest | None:
        """Takes in one more request, where there is room."""
        with self._changed:
            if self._closing or self._held >= self._settings.max_in_flight:
                return None
            try:
                owned = self._memory.owner.enter()
            except ArenaFullError:
                return None
            self._held += 1
            return owned

    def _context(self, request: Any, owned: OwnedRequest) -> Context:
        timeout_us = request.timeout()
        timeout_ns = timeout_us * 1000 if timeout_us else int(self._settings.deadline_s * 1e9)
        deadline_ns = time.monotonic_ns() + timeout_ns
        if self._elsewhere is None:
            refs = Refs(self._memory, owned.tag, deadline_ns)
            return Context(request.request_id(), deadline_ns, owned, refs)
        refs = Refs(self._memory, owned.tag, deadline_ns, self._elsewhere.pulled(owned, deadline_ns))
        context = Context(request.request_id(), deadline_ns, owned, refs)
        context.begin_visit(self._elsewhere.visit(owned, deadline_ns))
        return context

    def _begin(self, carried: CarriedRequest, request: Any) -> None:
        """Finds the request's path and replays it, on this thread."""
        if carried.over:
            return
        try:
            inputs, carried.facts = asked_for(request, self._model)
            carried.wanted = carried.facts.wanted
        except Exception as error:
            carried.failed(None, error)
            return
        self._replay(carried, inputs)

    def _begin_anew(
        self, carried: CarriedRequest, inputs: Mapping[str, TensorValue], elsewhere: Elsewhere
    ) -> None:
        """The same once more, when it is known who else was lost."""
        context, lost = carried.context, carried.context.visit
        lost.end()
        elsewhere.check(lost)
        carried.context = replace(context, correlations={})
        carried.context.begin_visit(elsewhere.visit(context.owned, context.deadline_ns))
        self._replay(carried, inputs)

    def _replay(self, carried: CarriedRequest, inputs: Mapping[str, TensorValue]) -> None:
        try:
            assert carried.facts is not None  # by the caller
            carried.path, path = self._paths.find(carried.facts)
            replay = Replay(path, inputs, carried, self._caller, carried.context)
        except Exception as error:
            carried.failed(None, error)
            return
        carried.replay = replay
        if not carried.over:
            self._engine.run(replay)
        elif carried.context.visit is not None:  # over before anybody knew of the visit, perhaps
            carried.context.visit.end()

    def _stream_by_grpc(self, exchange: Exchange, bls: BlsWay) -> LoopbackWay | None:
        """A way for the streams of this server, where BLS is not to be trusted with them."""
        address = os.environ.get(OWN_VARIABLE)
        if not address:
            return None
        from corntriton.runtime.remote.loopback import LoopbackWay

        return LoopbackWay(exchange, bls, address)

    def _reach_others(self, exchange: Exchange) -> Elsewhere | None:
        """What it takes to call targets on other servers, where there are such."""
        roles = self._router.roles(self._settings.targets)
        if not roles:
            return None
        try:
            from corntriton.runtime.remote.elsewhere import Elsewhere
        except ModuleNotFoundError as error:
            fix = "To fix: install tritonclient[grpc] for the Python of the server"
            raise RuntimeError(f"{error.name} is missing, by which other servers are called; {fix}") from None
        return Elsewhere(roles, exchange, self._memory, self._meter)

    def _label(self, path: str | None) -> str:
        """A path's label on metrics: those recorded while serving, of which there may be many, share one."""
        if path is None:
            return "none"
        return path if path in self._settings.paths else "recorded"

    def _gauges(self) -> Mapping[Series, float]:
        gauges: dict[Series, float] = {("corntriton_requests_in_flight", ()): self._held}
        if self._elsewhere is not None:
            gauges.update(self._elsewhere.gauges())
        in_flight, waiting = "corntriton_invocations_in_flight", "corntriton_invocations_waiting"
        for labels in self._labels.values():
            gauges[in_flight, labels] = gauges[waiting, labels] = 0
        for (target, _), gate in self._engine.gates.items():
            gauges[in_flight, self._labels[target]] += gate.in_flight
            gauges[waiting, self._labels[target]] += gate.waiting
        return gauges


class TritonPythonModel:
    """What Triton's Python backend looks for."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Loads the model's settings, flow and paths."""
        import triton_python_backend_utils as pb_utils

        if problem := numpy_problem():
            raise RuntimeError(problem)
        config = json.loads(args["model_config"])
        folder = File(args["model_repository"]) / args["model_version"]
        streams = pb_utils.using_decoupled_model_transaction_policy(config)
        self._orchestrator = Orchestrator(pb_utils, folder, args["model_name"], streams)

    def execute(self, requests: list[Any]) -> None:
        """Takes the requests; all answers come through their response senders."""
        for request in requests:
            self._orchestrator.accept(request)

    def is_ready(self) -> bool:
        """Asked by servers from 26.03 on; earlier ones take every model for ready that has loaded."""
        return self._orchestrator.is_ready

    def finalize(self) -> None:
        """Waits for the requests under way."""
        self._orchestrator.close()
