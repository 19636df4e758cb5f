"""The Grafana dashboard: our metrics and Triton's, by role and model; nothing in, JSON out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HERE = '{namespace="$namespace",role=~"$role"}'
_OVER = "[$__rate_interval]"
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3


@dataclass(frozen=True)
class Panel:
    """A chart over time.

    Attributes:
        title: What it shows.
        unit: Grafana's name of the unit.
        queries: PromQL by legend.
    """

    title: str
    unit: str
    queries: Mapping[str, str]


def _rate(metric: str) -> str:
    return f"rate({metric}{_HERE}{_OVER})"


def _sum(by: str, of: str) -> str:
    return f"sum by ({by}) ({of})"


def _per(by: str, over: str, under: str) -> str:
    return f"{_sum(by, _rate(over))} / {_sum(by, _rate(under))}"


def _quantile(share: float) -> str:
    buckets = _sum("model, path, le", _rate("corntriton_request_duration_seconds_bucket"))
    return f"histogram_quantile({share}, {buckets})"


def _growth(by: str, metric: str) -> str:
    return _sum(by, f"increase({metric}{_HERE}{_OVER})")


PANELS = (
    Panel(
        "Requests by outcome",
        "reqps",
        {"{{model}} {{outcome}}": _sum("model, outcome", _rate("corntriton_requests_total"))},
    ),
    Panel(
        "Time of a request, 50 % and 99 %",
        "s",
        {"{{model}} {{path}} 50 %": _quantile(0.5), "{{model}} {{path}} 99 %": _quantile(0.99)},
    ),
    Panel("Requests held", "short", {"{{model}}": _sum("model", f"corntriton_requests_in_flight{_HERE}")}),
    Panel("Wait at what binds", "s", {"{{role}} {{pod}}": f"corntriton_queue_seconds{_HERE}"}),
    Panel(
        "Time of a call, waiting included",
        "s",
        {
            "{{component}}": _per(
                "component", "corntriton_invocation_seconds_total", "corntriton_invocations_total"
            )
        },
    ),
    Panel(
        "Calls under way and waiting",
        "short",
        {
            "{{component}}": _sum("component", f"corntriton_invocations_in_flight{_HERE}"),
            "{{component}} waiting": _sum("component", f"corntriton_invocations_waiting{_HERE}"),
        },
    ),
    Panel(
        "Calls repeated as a process had died",
        "short",
        {"{{component}}": _growth("component", "corntriton_invocation_retries_total")},
    ),
    Panel(
        "Requests begun anew as a server was lost",
        "short",
        {"{{model}} {{path}}": _growth("model, path", "corntriton_replays_total")},
    ),
    Panel(
        "Other servers that can be called",
        "short",
        {"{{pod}} {{server}}": _sum("pod, server", f"corntriton_server_up{_HERE}")},
    ),
    Panel(
        "Pulled from other servers",
        "Bps",
        {"{{pod}} {{from}}": _sum("pod, from", _rate("corntriton_pulled_bytes_total"))},
    ),
    Panel(
        "Paths recorded while serving",
        "short",
        {"{{model}}": _growth("model", "corntriton_recorded_paths_total")},
    ),
    Panel(
        "Requests in a batch",
        "short",
        {"{{model}}": _per("model", "nv_inference_count", "nv_inference_exec_count")},
    ),
    Panel(
        "Queue of Triton's models",
        "short",
        {"{{model}}": _sum("model", f"nv_inference_pending_request_count{_HERE}")},
    ),
    Panel("GPU in use", "percentunit", {"{{pod}} {{gpu_uuid}}": f"nv_gpu_utilization{_HERE}"}),
    Panel(
        "GPU memory in use",
        "percentunit",
        {"{{pod}} {{gpu_uuid}}": f"nv_gpu_memory_used_bytes{_HERE} / nv_gpu_memory_total_bytes{_HERE}"},
    ),
)


def dashboard() -> str:
    """The text of the JSON file."""
    board = {
        "title": "corntriton",
        "uid": "corntriton",
        "tags": ["triton"],
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "schemaVersion": 39,
        "templating": {"list": [_source(), *_variables()]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }
    return json.dumps(board, indent=1) + "\n"


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _variables() -> list[dict[str, Any]]:
    """What the queries are narrowed by."""
    within = 'namespace="$namespace"'
    return [_variable("namespace", "", several=False), _variable("role", within, several=True)]


def _variable(label: str, where: str, several: bool) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": f"label_values(corntriton_requests_in_flight{{{where}}}, {label})",
        "refresh": 2,
        "includeAll": several,
        "multi": several,
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "title": panel.title,
        "type": "timeseries",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": expr, "legendFormat": legend}
            for index, (legend, expr) in enumerate(panel.queries.items())
        ],
    }
