from __future__ import annotations

import pytest

from corntriton.record.signature import Port, Signature
from corntriton.runtime.settings import ComponentSettings
from corntriton.serving.lifetime import ServerError

pytestmark = pytest.mark.server

PORTS = Signature({"x": Port("FP32")}, {"y": Port("FP32")})
STREAM = Signature(PORTS.inputs, PORTS.outputs, streaming=True)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            ComponentSettings("broken", "python", "parts:Broken", PORTS, 1),
            "component broken did not load: FileNotFoundError: no weights here",
        ),
        (
            ComponentSettings("inlined", "python", "parts:Broken", PORTS, 1, isolated=False),
            "component inlined did not load: FileNotFoundError: no weights here",
        ),
        (
            ComponentSettings("silent", "python", "parts:Empty", STREAM, 1),
            "component silent did not load: TypeError: parts:Empty has no method stream, "
            "which a component that is streaming needs",
        ),
    ],
)
def test_a_component_that_does_not_load_says_why(serve, settings, reason):
    with pytest.raises(ServerError) as caught:
        serve(settings)
    assert reason in str(caught.value), str(caught.value)
