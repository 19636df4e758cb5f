"""Whatever a component declares, its configs parse, break no rule, and say what was declared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corntriton.record.signature import DTYPES
from corntriton.repository import pbtxt
from corntriton.repository.build import build
from corntriton.runtime.settings import REF
from corntriton.spec.load import load_models

port = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([dtype for dtype in DTYPES if dtype != "BF16"]),  # numpy has none
        "dims": st.lists(st.sampled_from([-1, 1, 3, 1500]), min_size=1, max_size=3),
        "optional": st.booleans(),
        "list": st.booleans(),
    }
)
port_name = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.é'-]{0,8}\Z").filter(
    lambda name: not name.endswith("__ref")
)
ports = st.dictionaries(port_name, port, min_size=1, max_size=4)
overrides = st.sampled_from(
    [
        {},
        {"parameters": {"mode": {"string_value": 'a "quoted" # text'}}},
        {"version_policy": {"all": {}}},
        {"instance_group": [{"count": 2, "kind": "KIND_CPU", "host_policy": "cpu"}]},
        {"optimization": {"priority": "PRIORITY_MAX"}},
    ]
)


@st.composite
def components(draw: st.DrawFn) -> dict[str, Any]:
    streaming, stateful = draw(st.booleans()), draw(st.booleans())
    batch = 1 if streaming else draw(st.integers(1, 64))
    batching: dict[str, Any] = {"max_batch_size": batch}
    if batch > 1 and not stateful:
        batching["max_queue_delay_us"] = draw(st.integers(0, 10**6))
        batching["preferred"] = draw(st.lists(st.integers(1, batch), max_size=3))
    return {
        "kind": "processor",
        "backend": "python",
        "artifact": "parts:Sing" if streaming else "parts:Double",
        "inputs": draw(ports),
        "outputs": draw(ports),
        "streaming": streaming,
        "stateful": stateful,
        "idempotent": not stateful and draw(st.booleans()),
        "batching": batching,
        "instances": draw(st.integers(1, 8)),
        "device": draw(st.sampled_from(["cpu", "gpu"])),
        "config": draw(overrides),
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(component=components(), backends=st.sampled_from(["embedded", "ngc"]))
def test_any_component_is_built(
    component: dict[str, Any], backends: str, write_studio: Callable[..., Path]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = write_studio(Path(place) / "studio", lambda spec: spec["components"].update(any=component))
        manifest = build(load_models([folder]), Path(place) / "out", backends, link=True)
        text = (Path(place) / "out" / "model_repository" / "studio__any" / "config.pbtxt").read_text()
    config = pbtxt.parse(text)
    refs = {tensor.name.removesuffix(REF) for tensor in config.input if tensor.name.endswith(REF)}
    inline = [tensor for tensor in config.input if not tensor.name.endswith(REF)]
    assert [tensor.name for tensor in inline] == list(component["inputs"])
    for tensor, declared in zip(inline, component["inputs"].values(), strict=True):
        assert [*tensor.dims] == [-1] * declared["list"] + declared["dims"]
        assert tensor.optional == (declared["optional"] or tensor.name in refs)
    assert config.max_batch_size == component["batching"]["max_batch_size"]
    assert config.model_transaction_policy.decoupled == component["streaming"]
    assert config.HasField("sequence_batching") == component["stateful"]
    batched = config.max_batch_size > 1 and not component["stateful"]
    assert config.HasField("dynamic_batching") == batched
    mapped = "studio__any: gpu asked for, mapped to KIND_CPU because --backends embedded" in manifest.notes
    assert mapped == (backends == "embedded" and component["device"] == "gpu")
