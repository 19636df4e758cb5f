"""What a user says of the servers that another one works with."""

from __future__ import annotations

from pathlib import Path

import pytest

from corntriton.errors import UserError
from corntriton.serving.deployment import Deployment
from corntriton.serving.peers import missing, peers_of

ALONE = Deployment(Path("r"), (), {}, (), ())
LARGE = Deployment(Path("r"), (), {}, (), (), "large", ("small", "tiny"))
GOOD = "large=a:8001;b:8001,small=c:8001,tiny=d:1"


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORNTRITON_SERVERS", raising=False)


def problems(deployments: dict[str, Deployment], servers: str | None) -> list[str]:
    with pytest.raises(UserError) as caught:
        peers_of(deployments, servers)
    return [f"{each.file}: {each.path}: {each.what}" for each in caught.value.problems]


def test_it_is_passed_on_to_the_server() -> None:
    assert peers_of({"": LARGE}, GOOD) == {"CORNTRITON_SERVERS": GOOD}
    assert peers_of({"": LARGE}, None) == peers_of({"": ALONE}, None) == {}


def test_what_the_environment_says_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORNTRITON_SERVERS", GOOD)
    assert peers_of({"": LARGE}, None) == {"CORNTRITON_SERVERS": GOOD}
    assert peers_of({"": ALONE}, None) == {}
    monkeypatch.setenv("CORNTRITON_SERVERS", "nonsense")
    [problem] = problems({"": LARGE}, None)
    assert problem.startswith("CORNTRITON_SERVERS: nonsense: ")


def test_another_form_is_refused() -> None:
    assert problems({"": LARGE}, "large=a") == ["--servers: large=a: 'a', of the role large, is no host:port"]


def test_roles_have_to_be_those_of_the_build() -> None:
    assert problems({"": LARGE}, "large=a:1,smal=c:1,tiny=d:1") == [
        "--servers: smal: is no role of this build",
        "--servers: small: is not named, and requests may need its servers",
    ]


def test_a_server_that_calls_no_others_need_not_know_of_any() -> None:
    assert problems({"": ALONE}, GOOD) == [f"--servers: {GOOD}: is given, but this server calls no others"]


def test_several_servers_here_find_each_other() -> None:
    both = {"n-0": LARGE, "n-1": ALONE}
    assert peers_of(both, None) == {}
    assert problems(both, GOOD) == [f"--servers: {GOOD}: is for the server of one node"]


def test_a_server_that_has_to_call_others_and_knows_of_none_is_warned_of() -> None:
    assert "where the servers of small, tiny are" in missing({"": LARGE}, {})
    assert missing({"": LARGE}, {"CORNTRITON_SERVERS": GOOD}) == ""
    assert missing({"": ALONE}, {}) == missing({"n-0": LARGE, "n-1": LARGE}, {}) == ""
