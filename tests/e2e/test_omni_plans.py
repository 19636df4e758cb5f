"""The example with real weights, planned from its profile: its answers do not depend on the plan."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tritonclient.http

from corntriton.planner.plan import Plan
from corntriton.serving.server import Server

OMNI = Path(__file__).parents[2] / "examples" / "omni"
sys.path.insert(0, str(OMNI))  # its scripts import each other from there

pytestmark = [pytest.mark.server, pytest.mark.weights, pytest.mark.timeout(600)]
SOME_HZ = 0.02  # so little that one instance of everything does


@dataclass(frozen=True)
class Seen:
    """What one plan led to."""

    plan: Plan
    instances: int
    answers: dict[str, Any]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """The plan for the example's own workload, with all its instances, and two others."""
    import plans

    found: dict[str, Seen] = {}
    for name, way in plans.WAYS.items():
        folder = tmp_path_factory.mktemp("omni")
        plan = plans.make_plan(way, folder, None if name == "chosen" else SOME_HZ)
        with plans.served(folder) as server:
            found[name] = Seen(plan, instances(server), dict(answers(server)))
    return found


def instances(server: Server) -> int:
    """How many instances of components the server has."""
    client = tritonclient.http.InferenceServerClient(server.http_url)
    names = [each["name"] for each in client.get_model_repository_index()]
    configs = [client.get_model_config(name) for name in names if name.startswith("omni__")]
    return sum(group["count"] for config in configs for group in config["instance_group"])


def answers(server: Server) -> Iterator[tuple[str, Any]]:
    import demo
    import media
    import plans

    session = plans.session(server)
    inputs = {
        "text_to_speech": {"text": demo.WISH},
        "text_to_text": {"text": demo.QUESTION},
        "image_and_text_to_text": {
            "text": "What is the total due?",
            "images": [media.picture(*demo.INVOICE)],
        },
    }
    for request_type, values in inputs.items():
        exchange = session.ask(request_type, "http", **values)
        yield request_type, plans.bits(exchange)
        if request_type == "text_to_speech":
            audio = exchange.speech_as_heard
    yield "speech_to_image", plans.bits(session.ask("speech_to_image", "grpc", audio=audio))


def test_as_many_instances_are_served_as_are_planned(seen: dict[str, Seen]) -> None:
    assert seen["chosen"].plan.totals.instances > 1
    for each in seen.values():
        assert each.instances == each.plan.totals.instances


def test_the_three_plans_differ(seen: dict[str, Seen]) -> None:
    executors = {name: [one.components for one in each.plan.executors] for name, each in seen.items()}
    assert [len(members) for members in executors["monolith"]] == [7]
    assert [len(members) for members in executors["full disaggregation"]] == [1] * 7
    assert executors["chosen"] not in (executors["monolith"], executors["full disaggregation"])


def test_answers_are_equal_to_the_last_bit_under_every_plan(seen: dict[str, Seen]) -> None:
    assert seen["monolith"].answers == seen["chosen"].answers
    assert seen["full disaggregation"].answers == seen["chosen"].answers


def test_answers_are_right(seen: dict[str, Seen]) -> None:
    import checks

    said = seen["chosen"].answers
    assert "Paris" in said["text_to_text"]["answer"]
    assert "is 56.78" in said["image_and_text_to_text"]["answer"]
    assert said["speech_to_image"]["transcript"] == "Please draw the Digit 7."
    assert checks.digit_in(said["speech_to_image"]["image"]) == 7
