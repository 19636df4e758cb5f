"""Builds the models below models/ as a user would, and serves them on the real embedded server."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from corntriton.repository.build import build
from corntriton.serving.client import Client
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of
from corntriton.spec.load import load_models

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Watched:
    """A server, and what tests want to know of it beside its answers."""

    server: Server

    def connect(self, protocol: str) -> Client:
        return Client(self.server.http_url if protocol == "http" else self.server.grpc_url, protocol)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        connection = http.client.HTTPConnection(self.server.metrics_url)
        connection.request("GET", "/metrics")
        families = text_string_to_metric_families(connection.getresponse().read().decode())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def await_metric(self, name: str, value: float, **labels: str) -> None:
        """Returns when it has the value: orchestrators report once a second; pytest's timeout bounds it."""
        while self.metric(name, **labels) != value:
            time.sleep(0.1)

    @contextmanager
    def logging(self, text: str) -> Iterator[None]:
        """Ends when, since it began, a line with the text has come to the log; pytest's timeout bounds it."""
        before = self._logged(text)
        yield
        while self._logged(text) == before:
            time.sleep(0.02)

    def _logged(self, text: str) -> int:
        return sum(text in line.text for line in self.server.log)

    def workers(self, model: str) -> list[int]:
        """The process ids of the worker processes of a component's Triton model."""
        stubs = {int(trace.split()[1][:-1]) for trace in traces_of(self.server.id) if f"/{model}/1/" in trace}
        return [pid for stub in stubs for pid in _children(stub)]


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for children in threads for child in children.read_text().split()]


@pytest.fixture(scope="session")
def build_and_serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Server]:
    def start(*models: str) -> Server:
        folder = tmp_path_factory.mktemp("build") / "out"
        build(load_models([MODELS / model for model in models]), folder)
        return Server(read_deployment(folder), find_launcher(), exit_timeout_s=10)

    return start


@pytest.fixture(scope="module")
def tiny(build_and_serve: Callable[..., Server]) -> Iterator[Watched]:
    with build_and_serve("tiny") as server:
        yield Watched(server)
    assert traces_of(server.id) == []


@pytest.fixture(scope="module")
def faulty(build_and_serve: Callable[..., Server]) -> Iterator[Watched]:
    with build_and_serve("faulty") as server:
        yield Watched(server)
    assert traces_of(server.id) == []
