"""The chart's rules and dashboard: what promtool says of them, and what they are made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from corntriton.runtime import metrics
from tests.deploy.chart import BUILDS, Render, of_kind, rules
from tests.deploy.tools import promtool, run


@pytest.mark.parametrize("name", BUILDS)
def test_promtool_accepts_the_rules_and_the_dashboards_queries(
    name: str, render: Render, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    objects = render(request.getfixturevalue(name))
    [found] = of_kind(objects, "PrometheusRule").values()
    queries = [
        {"record": f"panel:{number}", "expr": query}
        for number, query in enumerate(dashboard_queries(objects))
    ]
    groups = [*found["spec"]["groups"], {"name": "dashboard", "rules": queries}]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": groups}))
    assert f"SUCCESS: {len(rules(objects)) + len(queries)} rules found" in run(
        promtool(), "check", "rules", file
    )


def dashboard_queries(objects: list[dict[str, Any]]) -> Iterator[str]:
    """With Grafana's variables filled in."""
    [board] = of_kind(objects, "ConfigMap").values()
    for panel in json.loads(board["data"]["corntriton.json"])["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "1m").replace("$namespace", "ai")
            yield text.replace("$role", "large|small")


def test_every_metric_is_one_that_orchestrators_or_triton_have(render: Render, three_nodes: Path) -> None:
    objects = render(three_nodes)
    texts = [*dashboard_queries(objects), *(rule["expr"] for rule in rules(objects))]
    used = {name for text in texts for name in re.findall(r"\b(corntriton_\w+|nv_\w+)\{", text)}
    recorded = {rule["record"] for rule in rules(objects) if "record" in rule}
    ours = {name for name in used if name.startswith("corntriton_")} - recorded
    unused = {f"{metrics._DURATION}_sum", f"{metrics._DURATION}_count"}  # a mean says less than percentiles
    assert ours | unused == {*metrics._FAMILIES, *metrics._FAMILIES_OF_SEVERAL_SERVERS}
    # https://github.com/triton-inference-server/server/blob/main/docs/user_guide/metrics.md
    assert {name for name in used if name.startswith("nv_")} == {
        "nv_gpu_memory_total_bytes",
        "nv_gpu_memory_used_bytes",
        "nv_gpu_utilization",
        "nv_inference_count",
        "nv_inference_exec_count",
        "nv_inference_pending_request_count",
        "nv_inference_queue_duration_us",
        "nv_inference_request_success",
    }


def series(name: str, labels: str, values: str) -> dict[str, str]:
    where = f'namespace="ai",pod="p-0",role="large",{labels}'
    return {"series": f"{name}{{{where}}}", "values": values}


def test_promtool_computes_the_wait_and_the_alerts(render: Render, three_nodes: Path, tmp_path: Path) -> None:
    objects = render(three_nodes)
    [found] = of_kind(objects, "PrometheusRule").values()
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(found["spec"]))
    target = "internvl3__image_encoder__llm__video_encoder"
    # Two calls a second; at any time, one waits in Triton's queue, and 99 in the orchestrator's.
    busy = [
        series("nv_inference_queue_duration_us", f'model="{target}",version="1"', "0+15000000x120"),
        series("corntriton_invocations_waiting", f'target="{target}",component="llm",model="m"', "99x120"),
        series("nv_inference_request_success", f'model="{target}",version="1"', "0+30x120"),
        series("corntriton_requests_total", 'model="internvl3",path="a",outcome="ok"', "0+95x120"),
        series("corntriton_requests_total", 'model="internvl3",path="a",outcome="deadline"', "0+5x120"),
        series("up", 'job="x"', "1x120"),
    ]
    others = [{"series": 'up{namespace="ai",role="small",job="x"}', "values": "1x120"}]
    where = '{namespace="ai", pod="p-0", role="large"}'
    test = {
        "interval": "15s",
        "input_series": [*busy, *others],
        "promql_expr_test": [
            {
                "expr": "corntriton_queue_seconds",
                "eval_time": "20m",
                "exp_samples": [{"labels": f"corntriton_queue_seconds{where}", "value": 50}],
            },
            {
                "expr": "count by (alertname) (ALERTS{alertstate='firing'})",
                "eval_time": "20m",
                "exp_samples": [
                    {"labels": '{alertname="CorntritonQueueGrows"}', "value": 1},
                    {"labels": '{alertname="CorntritonRequestsFail"}', "value": 1},
                ],
            },
        ],
    }
    idle = {
        "interval": "15s",
        "input_series": [
            series("nv_inference_queue_duration_us", f'model="{target}",version="1"', "0x60"),
            series("up", 'job="x"', "0x60"),
        ],
        "promql_expr_test": [
            {
                "expr": "corntriton_queue_seconds",
                "eval_time": "5m",
                "exp_samples": [{"labels": f"corntriton_queue_seconds{where}", "value": 0}],
            },
            {
                "expr": "count by (role) (ALERTS{alertname='CorntritonServerGone',alertstate='firing'})",
                "eval_time": "10m",
                "exp_samples": [
                    {"labels": '{role="large"}', "value": 1},
                    {"labels": '{role="small"}', "value": 1},
                ],
            },
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test, idle]}))
    assert "SUCCESS" in run(promtool(), "test", "rules", file)


def test_promtool_counts_those_who_wait_on_other_servers(
    render: Render, three_nodes: Path, tmp_path: Path
) -> None:
    [found] = of_kind(render(three_nodes), "PrometheusRule").values()
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(found["spec"]))
    target = "internvl3__image_encoder__llm__video_encoder"
    large = [
        {"series": f'{name}{{namespace="ai",pod="p-{pod}",role="large",model="{target}"}}', "values": values}
        for pod in (0, 1)
        for name, values in (
            ("nv_inference_queue_duration_us", "0+15000000x120"),  # one waits
            ("nv_inference_request_success", "0+30x120"),  # two come in a second
        )
    ]
    here = 'namespace="ai",pod="s-0",role="small",component="llm",model="m"'
    small = [
        {"series": f'corntriton_invocations_waiting{{{here},target="{target}@large-0"}}', "values": "6x120"},
        {
            "series": f'corntriton_server_up{{{here},server="large-0",address="10.0.0.1:8001"}}',
            "values": "0x120",
        },
        {
            "series": f'corntriton_server_up{{{here},server="large-0",address="10.0.0.2:8001"}}',
            "values": "0x40 1x80",
        },
    ]
    waited = [
        {"labels": f'corntriton_queue_seconds{{namespace="ai", pod="p-{pod}", role="large"}}', "value": 2}
        for pod in (0, 1)
    ]
    lost = "ALERTS{alertname='CorntritonRoleLost',alertstate='firing'}"
    test = {
        "interval": "15s",
        "input_series": [*large, *small],
        "promql_expr_test": [
            {"expr": "corntriton_queue_seconds", "eval_time": "20m", "exp_samples": waited},
            {"expr": f"count({lost})", "eval_time": "9m", "exp_samples": [{"labels": "{}", "value": 1}]},
            {"expr": f"count({lost})", "eval_time": "20m", "exp_samples": []},
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    assert "SUCCESS" in run(promtool(), "test", "rules", file)
