"""compose.yaml: what its schema says of it, and what a machine gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import BUILDS
from tests.deploy.tools import of_environment, run

Emit = Callable[[Path, str], Path]


def service(folder: Path) -> dict[str, Any]:
    [found] = yaml.safe_load((folder / "compose.yaml").read_text())["services"].values()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", BUILDS)
def test_the_schema_of_compose_accepts_it(name: str, emit: Emit, request: pytest.FixtureRequest) -> None:
    files = sorted(emit(request.getfixturevalue(name), "compose").rglob("compose.yaml"))
    assert files
    run(of_environment("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *files)


def test_a_machine_gives_the_gpus_that_the_configs_name(
    emit: Emit, eight_gpus: Path, three_nodes: Path
) -> None:
    def gpus(folder: Path) -> list[str]:
        [device] = service(folder)["deploy"]["resources"]["reservations"]["devices"]
        ids: list[str] = device["device_ids"]
        return ids

    assert gpus(emit(eight_gpus, "compose")) == [*"01234567"]
    out = emit(three_nodes, "compose")
    assert (gpus(out / "large"), gpus(out / "small")) == (["0", "1"], ["0"])


def test_without_gpus_none_are_asked_for(emit: Emit, unplanned: Path) -> None:
    assert "deploy" not in service(emit(unplanned, "compose"))


def test_shared_memory_is_the_sum_that_the_comment_explains(emit: Emit, eight_gpus: Path) -> None:
    out = emit(eight_gpus, "compose")
    terms = [
        line.split() for line in (out / "compose.yaml").read_text().splitlines() if line.startswith("    #  ")
    ]
    total = sum(int(words[1]) * float(words[3]) for words in terms)
    assert service(out)["shm_size"] == f"{round(total)}m"
    assert any("arenas" in words for words in terms)


def test_cuda_ipc_stays_inside_one_container(emit: Emit, eight_gpus: Path) -> None:
    found = service(emit(eight_gpus, "compose"))
    assert found["ipc"] == "private"
    assert "pid" not in found
    assert found["ulimits"]["memlock"] == -1


def test_the_container_can_change_nothing(emit: Emit, unplanned: Path) -> None:
    found = service(emit(unplanned, "compose"))
    assert (found["user"], found["read_only"], found["cap_drop"]) == ("1000:1000", True, ["ALL"])
    assert found["security_opt"] == ["no-new-privileges:true"]
    [models] = found["volumes"]
    assert (models["target"], models["read_only"]) == ("/models", True)
    assert models["source"] == f"${{CORNTRITON_REPOSITORY:-{unplanned / 'model_repository'}}}"
    assert all(port.startswith("${CORNTRITON_BIND:-127.0.0.1}:") for port in found["ports"])


def test_health_is_that_of_the_server_and_of_every_probe(emit: Emit, three_nodes: Path) -> None:
    found = service(emit(three_nodes, "compose") / "large")
    assert [word for word in found["healthcheck"]["test"] if word.startswith("http")] == [
        "http://127.0.0.1:8000/v2/health/ready",
        "http://127.0.0.1:8000/v2/models/internvl3_ready/ready",
        "http://127.0.0.1:8000/v2/models/qwen2_5_vl_ready/ready",
    ]


def test_servers_that_call_each_other_have_to_be_told_where_they_are(emit: Emit, crossing: Path) -> None:
    found = service(emit(crossing, "compose") / "n-1")
    variable = found["environment"]["CORNTRITON_SERVERS"]
    assert variable.startswith("${CORNTRITON_SERVERS:?")
    assert "n-0=HOST:8001,n-1=HOST:8001;HOST:8001" in variable
    assert all(port.startswith("${CORNTRITON_BIND:?") for port in found["ports"])


def test_a_server_alone_needs_no_others(emit: Emit, eight_gpus: Path) -> None:
    assert "environment" not in service(emit(eight_gpus, "compose"))


def test_a_server_may_end_its_requests(emit: Emit, three_nodes: Path) -> None:
    folder = emit(three_nodes, "compose") / "large"
    assert "--exit-timeout-secs=600" in (folder / "serve.sh").read_text()
    assert service(folder)["stop_grace_period"] == "615s"
