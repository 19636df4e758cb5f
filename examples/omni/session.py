"""Sends requests to the served example through Triton's clients; notes what came back, and in what time."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import media
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from corntriton.serving.client import Client
from corntriton.serving.server import Server
from corntriton.spec.load import LoadedModel

Answer = dict[str, Any]  # by output: text, PNG bytes or samples
Work = dict[str, tuple[int, float]]  # by component: how many calls, and the seconds that they took in all


@dataclass
class Exchange:
    """A request and its answer.

    Attributes:
        request_type: As in model.yaml.
        way: How it was sent: http, grpc, or grpc stream.
        inputs: What was sent.
        answer: What came back.
        work: What the components of its path did, in the path's order; `ocr+chat` did it in one process.
        total_s: From sending to the end of the answer.
        first_s: To the first piece of each output; of a streamed answer, well before its end.
        verdicts: What was checked, and whether it was right.
    """

    request_type: str
    way: str
    inputs: Mapping[str, Any]
    answer: Answer
    work: Work
    total_s: float
    first_s: Mapping[str, float]
    verdicts: list[tuple[bool, str]] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return all(right for right, _ in self.verdicts)

    @property
    def speech_as_heard(self) -> np.ndarray:
        """The speech of the answer, at the rate at which the model takes audio."""
        return media.as_heard(self.answer["speech"])

    def check(self, right: bool, what: str) -> None:
        """Notes a verdict on the answer."""
        self.verdicts.append((right, what))

    def save(self, start: Path) -> list[str]:
        """Writes a file per picture shown and per output, with names that begin with `start`."""
        for name in ("images", "frames"):
            for number, picture in enumerate(self.inputs.get(name, ())):
                Path(f"{start}.{name}.{number}.png").write_bytes(picture)
        return [
            f"{self._label(name)}: {_save(value, f'{start}.{name}')}" for name, value in self.answer.items()
        ]

    def _label(self, output: str) -> str:
        return f"{output}, from {self.first_s[output]:.1f} s on" if "stream" in self.way else output


class Session:
    """Clients of one server, over HTTP and gRPC."""

    def __init__(self, server: Server, model: LoadedModel) -> None:
        self._http, self._grpc = Client(server.http_url), Client(server.grpc_url, "grpc")
        self._metrics_url = f"http://{server.metrics_url}/metrics"
        self._model = model
        self._sent = 0

    def ask(self, request_type: str, way: str, **inputs: Any) -> Exchange:
        """Sends one request; model.yaml says which outputs its type wants."""
        before, began_s = self._work(), time.monotonic()
        timed = [(time.monotonic() - began_s, piece) for piece in self._send(request_type, way, inputs)]
        total_s = time.monotonic() - began_s
        found = joined([piece for _, piece in timed])
        answer = {output: found[output] for output in self._model.spec.request_types[request_type].outputs}
        first_s = {output: next(at_s for at_s, piece in timed if output in piece) for output in answer}
        path = [step.component for step in self._model.paths[request_type].invocations]
        work = in_order(difference(before, self._work()), path)
        return Exchange(request_type, way, inputs, answer, work, total_s, first_s)

    def hear(self, speech: np.ndarray) -> str:
        """What the served model understands."""
        self._sent += 1
        return joined([self._grpc.infer("omni", {"audio": speech}, ["transcript"])])["transcript"]

    def _send(
        self, request_type: str, way: str, inputs: Mapping[str, Any]
    ) -> Iterator[dict[str, np.ndarray]]:
        known = self._model.spec.request_types[request_type]
        request = (inputs, known.outputs, known.parameters)
        self._sent += 1
        if way == "grpc stream":
            yield from self._grpc.stream("omni_stream", *request)
        else:
            yield {"http": self._http, "grpc": self._grpc}[way].infer("omni", *request)

    def _work(self) -> Work:
        """What the orchestrators have counted; they report once a second, requests and calls together."""
        for _ in range(100):
            samples = list(self._samples())
            ended = sum(sample.value for sample in samples if sample.name == "corntriton_requests_total")
            if ended >= self._sent:
                return work_in(samples)
            time.sleep(0.1)
        raise TimeoutError(f"10 s after {self._sent} requests, the server has counted {ended:g}")

    def _samples(self) -> Iterator[Sample]:
        with urlopen(self._metrics_url) as page:
            for family in text_string_to_metric_families(page.read().decode()):
                yield from family.samples


def work_in(samples: Iterable[Sample]) -> Work:
    """The work of each component, for both orchestrators together."""
    work: Work = {}
    for sample in samples:
        if "component" in sample.labels:
            calls, seconds = work.get(sample.labels["component"], (0, 0.0))
            if sample.name == "corntriton_invocations_total":
                calls += int(sample.value)
            elif sample.name == "corntriton_invocation_seconds_total":
                seconds += sample.value
            work[sample.labels["component"]] = (calls, seconds)
    return work


def difference(before: Work, after: Work) -> Work:
    """The work between two readings."""
    nothing = (0, 0.0)
    return {
        name: (calls - before.get(name, nothing)[0], seconds - before.get(name, nothing)[1])
        for name, (calls, seconds) in after.items()
    }


def in_order(work: Work, path: Sequence[str]) -> Work:
    """The work that was done, in the order of a path's components."""

    def place(name: str) -> int:
        return min((path.index(part) for part in name.split("+") if part in path), default=len(path))

    return {name: work[name] for name in sorted(work, key=place) if work[name][0]}


def joined(pieces: list[dict[str, np.ndarray]]) -> Answer:
    """The pieces of a streamed answer put together; another answer is one piece."""
    answer: Answer = {}
    for output in dict.fromkeys(name for piece in pieces for name in piece):
        values = [piece[output] for piece in pieces if output in piece]
        if output == "speech":
            answer[output] = np.concatenate(values)
        else:
            whole = b"".join(value[0] for value in values)
            answer[output] = whole if output == "image" else whole.decode()
    return answer


def _save(value: Any, name: str) -> str:
    """Writes one output; gives the text, or the name of the file that holds more than text."""
    if isinstance(value, str):
        Path(f"{name}.txt").write_text(value)
        return value
    if isinstance(value, bytes):
        file = Path(f"{name}.png")
        file.write_bytes(value)
        return file.name
    file = Path(f"{name}.wav")
    media.save_wav(value, file)
    return f"{len(value) / media.SPOKEN_HZ:.1f} s, {file.name}"
