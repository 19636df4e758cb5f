"""Every rule: a config that breaks it, the field that is named, and what the real server makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from corntriton.repository import pbtxt, rules
from corntriton.repository.faults import Surroundings
from corntriton.repository.rules import check
from corntriton.serving.client import Client
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from tests.repository.broken_configs import BASE, CASES, GOOD, Case


def name_of(case: Case) -> str:
    return f"{case.rule.__name__}-{case.field}"


def around(embedded: bool = True) -> Surroundings:
    return Surroundings("model", embedded, {"good": pbtxt.parse(BASE.replace('"model"', '"good"'))})


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_good_config_breaks_no_rule(text: str) -> None:
    assert check(pbtxt.parse(text), around()) == []


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_broken_config_is_reported_at_its_field(case: Case) -> None:
    found = list(case.rule(pbtxt.parse(case.text), around()))  # type: ignore[call-overload]
    assert case.field in [fault.field for fault in found]
    assert set(found) <= set(check(pbtxt.parse(case.text), around()))


def test_every_rule_has_a_case() -> None:
    assert set(rules.RULES) == {case.rule for case in CASES}


def test_newer_servers_may_have_newer_fields_and_native_backends() -> None:
    text = BASE.replace('"python"', '"onnxruntime"')
    assert check(pbtxt.parse(text), around(embedded=False)) == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server that loads models when it is told to, and its repository."""
    repository = tmp_path_factory.mktemp("cases")
    write(repository, "good", BASE.replace('"model"', '"good"'))
    deployment = read_deployment(repository)
    deployment = type(deployment)(**{**vars(deployment), "flags": ("--model-control-mode=explicit",)})
    with Server(deployment, find_launcher(), exit_timeout_s=5) as running:
        yield running, repository


def write(repository: Path, name: str, config: str) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)
    (repository / name / "1" / "model.py").write_text(
        """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        inputs = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", x)]) for x in inputs]
"""
    )


@pytest.mark.server
@pytest.mark.parametrize("kind", GOOD)
def test_the_server_loads_what_breaks_no_rule(kind: str, server: tuple[Server, Path]) -> None:
    running, repository = server
    name = kind.replace(" ", "_")
    write(repository, name, GOOD[kind].replace('name: "model"', f'name: "{name}"'))
    with Client(running.grpc_url, "grpc") as client:
        client.triton.load_model(name)
        assert client.triton.is_model_ready(name)
        client.triton.unload_model(name)


@pytest.mark.server
@pytest.mark.parametrize("number", range(len(CASES)), ids=[name_of(case) for case in CASES])
def test_the_server_refuses_or_ignores_as_the_rule_says(number: int, server: tuple[Server, Path]) -> None:
    running, repository = server
    case, name = CASES[number], f"case{number}"
    write(repository, name, case.text.replace('name: "model"', f'name: "{name}"'))
    with Client(running.grpc_url, "grpc") as client:
        if case.refused:
            with pytest.raises(InferenceServerException):
                client.triton.load_model(name)
        else:
            client.triton.load_model(name)
            assert client.triton.is_model_ready(name)
            client.triton.unload_model(name)
