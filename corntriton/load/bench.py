"""`corntriton bench`: the request mix of a workload, put to a running deployment; a Verdict comes out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path as File

import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from corntriton.errors import Problem, Problems, UserError
from corntriton.load.arrivals import Arrival, arrivals
from corntriton.load.examples import Example, find_examples
from corntriton.load.generator import send
from corntriton.load.request import Request, encode
from corntriton.load.verdict import Verdict, judge
from corntriton.planner.names import Names
from corntriton.repository.served import streams as has_stream
from corntriton.runtime.tensors import as_array
from corntriton.spec.load import LoadedModel, load_models
from corntriton.spec.validation import choose
from corntriton.spec.workload import Traffic, Workload, read_workload

_ADDRESS = re.compile(r"(?:grpc://)?([^/:\s]+|\[[0-9a-fA-F:]+\]):(\d+)/?")
# Of the measured time; at least this long.
_WARM_UP_SHARE, _WARM_UP_S = 0.1, 1.0
_PATIENCE_S = 10.0  # beyond a model's own deadline


@dataclass(frozen=True)
class Options:
    """How to load.

    Attributes:
        rate_hz: All request types together; the workload's own where it is None.
        duration_s: How long to send, the warm-up included.
        warm_up_s: Not judged; a tenth of the duration where it is None.
        seed: Of the arrivals.
        streams: Call every model's streaming endpoint, where it has one.
    """

    rate_hz: float | None = None
    duration_s: float = 60.0
    warm_up_s: float | None = None
    seed: int = 0
    streams: bool = False


@dataclass(frozen=True)
class Bench:
    """What is known once a load is over.

    Attributes:
        verdict: The judgement.
        rate_hz: As it was asked for.
        warm_up_s: As it was cut off.
        made_up: Request types whose requests were made up, for want of examples.
        streamed: Request types whose answers were streamed.
    """

    verdict: Verdict
    rate_hz: float
    warm_up_s: float
    made_up: tuple[str, ...]
    streamed: tuple[str, ...]


def bench(
    address: str,
    workload_file: str,
    models: Sequence[File],
    options: Options,
    on_sent: Callable[[Arrival], object] = lambda arrival: None,
) -> Bench:
    """Loads a deployment and judges it.

    Args:
        address: `grpc://host:port`.
        workload_file: A workload.yaml.
        models: The models that are served; none: the one beside the workload.
        options: How.
        on_sent: Called with each request that was sent.

    Raises:
        UserError: With every problem of the files, or because nothing that serves them answers there.
    """
    problems = Problems()
    target = _address(address, problems)
    workload = read_workload(workload_file, problems)
    loaded: list[LoadedModel] = []
    try:
        loaded = load_models(models or [File(workload_file).parent])
    except UserError as error:
        problems.extend(error)
    problems.raise_if_any()
    assert workload is not None  # else there were problems
    mix = _Mix(workload, workload_file, loaded, options.streams)
    mix.check_served(target)
    rate_hz = options.rate_hz or workload.rate_hz
    assert rate_hz is not None  # the reader filled it in
    warm_up_s = options.warm_up_s
    if warm_up_s is None:
        warm_up_s = min(max(_WARM_UP_S, _WARM_UP_SHARE * options.duration_s), options.duration_s / 2)
    due = arrivals(workload, rate_hz, options.duration_s, options.seed)
    timeout_s = max(model.spec.deadline_s for model in loaded) + _PATIENCE_S
    load = asyncio.run(send(target, due, mix.request, options.duration_s, timeout_s, on_sent))
    return Bench(judge(load, workload, warm_up_s), rate_hz, warm_up_s, mix.made_up, mix.streamed)


class _Mix:
    """The requests of each type, encoded."""

    def __init__(self, workload: Workload, file: str, models: Sequence[LoadedModel], streams: bool) -> None:
        problems = Problems()
        self._file = file
        self._models = {model.name: model for model in models}
        self._requests: dict[str, list[Request]] = {}
        self._endpoints: set[str] = set()
        types = Names(models).type
        examples = {model.name: find_examples(model, problems) for model in models}
        made_up, streamed = [], []
        for name, traffic in workload.request_types.items():
            if name not in types:
                fix = choose(name, types, "declare it under request_types in model.yaml")
                problems.add(file, f"$.request_types.{name}", "is no request type of the models", fix)
                continue
            model_name, _, type_name = types[name].partition("/")
            found = examples[model_name][type_name]
            streaming = self._streams(self._models[model_name], traffic, streams)
            self._requests[name] = [self._encode(each, model_name, streaming) for each in found]
            made_up += [name] * found[0].synthetic
            streamed += [name] * streaming
        problems.raise_if_any()
        self.made_up = tuple(made_up)
        self.streamed = tuple(streamed)

    def request(self, arrival: Arrival) -> Request:
        """One after the other, the examples of the type."""
        choices = self._requests[arrival.request_type]
        return choices[arrival.number % len(choices)]

    def check_served(self, target: str) -> None:
        """Notes what does not answer."""
        problems = Problems()
        with tritonclient.grpc.InferenceServerClient(target) as client:
            try:
                absent = [name for name in sorted(self._endpoints) if not client.is_model_ready(name)]
            except InferenceServerException as error:
                what = f"no Triton server answers there: {error.message()}"
                raise UserError(
                    [
                        Problem(
                            "bench", target, what, "start one: corntriton serve DIR; its gRPC port is meant"
                        )
                    ]
                ) from None
        for name in absent:
            fix = "serve a build of it, or name the right --model"
            problems.add("bench", target, f"the server has no model {name} that is ready", fix)
        problems.raise_if_any()

    def _streams(self, model: LoadedModel, traffic: Traffic, wanted: bool) -> bool:
        """Where a target needs to see pieces, or it is asked for and the model has such an endpoint."""
        sees_pieces = any(target.of != "completion" for target in traffic.targets)
        return has_stream(model) and (wanted or sees_pieces)

    def _encode(self, example: Example, model_name: str, streaming: bool) -> Request:
        model = self._models[model_name]
        endpoint = f"{model_name}_stream" if streaming else model_name
        self._endpoints.add(endpoint)
        said = model.spec.request_types[example.request_type]
        ports = model.signature.ports.inputs
        tensors = {name: as_array(value, ports[name]) for name, value in example.values.items()}
        return encode(endpoint, tensors, said.outputs, said.parameters, streaming)


def _address(text: str, problems: Problems) -> str:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        fix = "write grpc://HOST:PORT, with the server's gRPC port, such as grpc://localhost:8001"
        problems.add("bench", text, "is no address of a gRPC server", fix)
        return ""
    return f"{match[1]}:{match[2]}"
