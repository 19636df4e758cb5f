"""The chart: what helm, Kubernetes' schemas and promtool say of it, and what a cluster gets."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import BUILDS, Render, of_kind, rules
from tests.deploy.tools import helm, of_environment, run


def pod(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    spec: dict[str, Any] = of_kind(objects, "Deployment")[name]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("name", BUILDS)
def test_helm_lint_has_nothing_to_say(
    name: str, chart: Callable[[Path], Path], request: pytest.FixtureRequest
) -> None:
    said = run(helm(), "lint", "--strict", chart(request.getfixturevalue(name)))
    assert re.findall(r"\[(\w+)\] (.*)", said) == [("INFO", "Chart.yaml: icon is recommended")]


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("version", ["1.27", "1.37"])
def test_every_object_is_what_kubernetes_knows(
    name: str, version: str, render: Render, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    sets = ("adminTokenSecret=admin", "image.registry=r.example.com/ai", "image.pullSecrets={pull}")
    objects = render(request.getfixturevalue(name), *sets, operator=False)
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    said = run(of_environment("kubernetes-validate"), "--strict", "--kubernetes-version", version, file)
    assert said.count(" passed for resource ") == len(objects)


def test_a_role_is_a_deployment_with_the_plans_nodes_and_gpus(render: Render, three_nodes: Path) -> None:
    objects = render(three_nodes)
    found = {
        name: each["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        for name, each in of_kind(objects, "Deployment").items()
    }
    assert found == {
        "omni-corntriton-large": {"nvidia.com/gpu": 2},
        "omni-corntriton-small": {"nvidia.com/gpu": 1},
    }
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    assert {name: each["spec"]["minReplicas"] for name, each in scalers.items()} == {
        "omni-corntriton-large": 2,
        "omni-corntriton-small": 1,
    }


def test_without_an_autoscaler_the_deployments_say_how_many(render: Render, three_nodes: Path) -> None:
    objects = render(three_nodes, "autoscaling.enabled=false")
    counts = [each["spec"]["replicas"] for each in of_kind(objects, "Deployment").values()]
    assert (counts, of_kind(objects, "HorizontalPodAutoscaler")) == ([2, 1], {})


def test_all_that_selects_pods_selects_those_of_its_role(render: Render, three_nodes: Path) -> None:
    objects = render(three_nodes)
    for name, deployment in of_kind(objects, "Deployment").items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        selectors = [
            deployment["spec"]["selector"]["matchLabels"],
            of_kind(objects, "Service")[name]["spec"]["selector"],
            of_kind(objects, "PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"],
        ]
        assert all(selector == labels for selector in selectors)
        [policy] = of_kind(objects, "NetworkPolicy").values()
        assert policy["spec"]["podSelector"]["matchLabels"].items() < labels.items()


def test_services_are_headless(render: Render, three_nodes: Path) -> None:
    services = of_kind(render(three_nodes), "Service").values()
    assert {each["spec"]["clusterIP"] for each in services} == {"None"}


def test_servers_find_each_other_before_they_are_ready_and_clients_find_them_all(
    render: Render, crossing: Path
) -> None:
    objects = render(crossing)
    [container] = pod(objects, "omni-corntriton-n-0")["containers"]
    found = {variable["name"]: variable["value"] for variable in container["env"]}
    addresses = [f"{role}=omni-corntriton-{role}-peers.ai.svc:8001" for role in ("n-0", "n-1")]
    assert found == {"CORNTRITON_SERVERS": ",".join(addresses), "CORNTRITON_TRANSPORT": "grpc"}
    services = of_kind(objects, "Service")
    for role in ("n-0", "n-1"):
        spec = services[f"omni-corntriton-{role}-peers"]["spec"]
        assert spec["publishNotReadyAddresses"] is True
        assert spec["selector"]["app.kubernetes.io/component"] == role
    assert "publishNotReadyAddresses" not in services["omni-corntriton-n-0"]["spec"]
    assert "app.kubernetes.io/component" not in services["omni-corntriton"]["spec"]["selector"]


def test_all_pods_have_the_same_environment_so_that_no_role_restarts_another(
    render: Render, crossing: Path
) -> None:
    objects = render(crossing, "adminTokenSecret=admin", "roles.n-1.replicas=5")
    first, second = (
        pod(objects, f"omni-corntriton-{role}")["containers"][0]["env"] for role in ("n-0", "n-1")
    )
    assert first == second
    assert [variable["name"] for variable in first] == [
        "CORNTRITON_ADMIN_TOKEN_FILE",
        "CORNTRITON_SERVERS",
        "CORNTRITON_TRANSPORT",
    ]


def test_the_network_lets_servers_call_each_other_and_ask_for_addresses(
    render: Render, crossing: Path
) -> None:
    more_egress = "networkPolicy.egress[0].to[0].ipBlock.cidr=10.0.0.0/8"
    [policy] = of_kind(render(crossing, more_egress), "NetworkPolicy").values()
    release = {"app.kubernetes.io/name": "corntriton", "app.kubernetes.io/instance": "omni"}
    pods, grpc = [{"podSelector": {"matchLabels": release}}], [{"port": "grpc", "protocol": "TCP"}]
    assert {"from": pods, "ports": grpc} in policy["spec"]["ingress"]
    to_each_other, to_dns, more = policy["spec"]["egress"]
    assert to_each_other == {"to": pods, "ports": grpc}
    assert {(port["port"], port["protocol"]) for port in to_dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert more == {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}


def test_nixl_may_use_ports_of_its_own_between_the_servers(render: Render, crossing: Path) -> None:
    [policy] = of_kind(render(crossing, "transport=nixl"), "NetworkPolicy").values()
    release = {"app.kubernetes.io/name": "corntriton", "app.kubernetes.io/instance": "omni"}
    pods = [{"podSelector": {"matchLabels": release}}]
    assert {"from": pods} in policy["spec"]["ingress"]
    assert policy["spec"]["egress"][0] == {"to": pods}


def test_a_server_that_calls_no_others_is_told_of_none(render: Render, unplanned: Path) -> None:
    objects = render(unplanned)
    assert [*of_kind(objects, "Service")] == ["omni-corntriton-server"]
    assert "env" not in pod(objects, "omni-corntriton-server")["containers"][0]


def test_shared_memory_is_a_volume_of_the_computed_size(render: Render, eight_gpus: Path) -> None:
    spec = pod(render(eight_gpus), "omni-corntriton-hgx")
    [volume] = [each for each in spec["volumes"] if each["name"] == "shm"]
    assert volume["emptyDir"]["medium"] == "Memory"
    assert re.fullmatch(r"\d+Mi", volume["emptyDir"]["sizeLimit"])
    mounts = {each["name"]: each["mountPath"] for each in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"shm": "/dev/shm", "tmp": "/tmp"}


def test_a_pod_can_change_nothing_and_has_no_rights(render: Render, unplanned: Path) -> None:
    objects = render(unplanned)
    spec = pod(objects, "omni-corntriton-server")
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not of_kind(objects, "Role")
    assert not of_kind(objects, "RoleBinding")
    [policy] = of_kind(objects, "NetworkPolicy").values()
    assert policy["spec"]["egress"] == []


def test_probes_ask_the_server_and_the_orchestrators_own_readiness(render: Render, eight_gpus: Path) -> None:
    [container] = pod(render(eight_gpus), "omni-corntriton-hgx")["containers"]
    paths = {
        kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")
    }
    assert paths == {
        "startup": "/v2/health/ready",
        "liveness": "/v2/health/live",
        "readiness": "/v2/models/qwen3_omni_ready/ready",
    }


def test_two_models_of_a_role_have_to_be_ready_both(render: Render, unplanned: Path) -> None:
    objects = render(unplanned, "roles.server.probes={a_ready,b_ready}")
    [container] = pod(objects, "omni-corntriton-server")["containers"]
    command = container["readinessProbe"]["exec"]["command"]
    assert command[0] == "curl"
    assert [word for word in command if word.startswith("http")] == [
        "http://127.0.0.1:8000/v2/models/a_ready/ready",
        "http://127.0.0.1:8000/v2/models/b_ready/ready",
    ]


def test_models_engines_and_the_secret_come_from_volumes_on_demand(render: Render, unplanned: Path) -> None:
    sets = ["repository.claim=models", "repository.subPath=omni", "engines.build=true", "engines.claim=kept"]
    objects = render(unplanned, "adminTokenSecret=admin", *(f"roles.server.{each}" for each in sets))
    spec = pod(objects, "omni-corntriton-server")
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert volumes["repository"]["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    assert volumes["engines"]["persistentVolumeClaim"] == {"claimName": "kept"}
    assert volumes["admin"]["secret"]["secretName"] == "admin"
    [container] = spec["containers"]
    [models] = [each for each in container["volumeMounts"] if each["name"] == "repository"]
    assert (models["mountPath"], models["readOnly"], models["subPath"]) == ("/models", True, "omni")
    [variable] = container["env"]
    assert variable["value"] == "/run/secrets/corntriton/token"


@pytest.mark.parametrize(
    "wrong",
    [
        "roles.server.gpus=some",
        "roles.server.tag=latest",
        "roles.server.sharedMemory=2000",
        "roles.server.digest=sha256:12",
        "rolls.server.gpus=1",
        "networkPolicy.enabled=maybe",
        "image.pullPolicy=Sometimes",
        "roles.server.server=a=b",
        "transport=rdma",
    ],
)
def test_the_schema_of_the_values_refuses(wrong: str, chart: Callable[[Path], Path], unplanned: Path) -> None:
    said = run(helm(), "template", "omni", chart(unplanned), "--set", wrong, ok=False)
    assert "values don't meet the specifications of the schema" in said


def test_the_autoscaler_goes_by_the_wait_at_what_binds(render: Render, three_nodes: Path) -> None:
    objects = render(three_nodes)
    [metric] = of_kind(objects, "HorizontalPodAutoscaler")["omni-corntriton-large"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "corntriton_queue_seconds"
    # Half of the 78.9 s that image_to_text's target leaves, shared by the encoder and the llm.
    assert metric["pods"]["target"]["averageValue"] == "19725m"
    recorded = [rule for rule in rules(objects) if rule.get("record") == "corntriton_queue_seconds"]
    assert ['role="large"' in rule["expr"] for rule in recorded] == [True, False]
    assert "internvl3__image_encoder__llm__video_encoder" in recorded[0]["expr"]


def test_values_carry_the_plans_reasons(chart: Callable[[Path], Path], three_nodes: Path) -> None:
    text = (chart(three_nodes) / "values.yaml").read_text()
    assert "# The plan's nodes large-0, large-1.\n" in text
    assert "# The plan's node Single.node.\n" in text
    assert "This is what binds.\n" in text


def test_without_the_operator_its_objects_are_left_out(render: Render, unplanned: Path) -> None:
    kinds = {each["kind"] for each in render(unplanned, operator=False)}
    assert not kinds & {"ServiceMonitor", "PrometheusRule"}
