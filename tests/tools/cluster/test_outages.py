"""Which failures a killed or cut off server excuses."""

from __future__ import annotations

from cluster.asking import Reply
from cluster.outages import Asked, Outage, Outages

ENTERED = {"at-a": ("a", "SD"), "at-b": ("b", "--")}


def failed(name: str, sent_s: float = 10, done_s: float = 11, sort: str = "any") -> Asked:
    return Asked(sort, "failed", sent_s, done_s, Reply(name, {}, "UNAVAILABLE"))


def kind(asked: Asked, outage: Outage, only: dict[str, set[str]] | None = None) -> str:
    outages = Outages()
    outages.all.append(outage)
    [found] = outages.account([asked], ENTERED, only or {})
    return found


def test_what_a_killed_server_had_in_its_hands_died_with_it() -> None:
    assert kind(failed("at-a"), Outage("a", "killed", 10.5, 20)) == "its server died"


def test_what_another_server_had_is_lost() -> None:
    assert kind(failed("at-b"), Outage("a", "killed", 10.5, 20)) == "lost"


def test_what_ended_before_or_began_after_is_lost() -> None:
    assert kind(failed("at-a"), Outage("a", "killed", 11.5, 20)) == "lost"
    assert kind(failed("at-a"), Outage("a", "killed", 1, 9)) == "lost"


def test_what_nobody_else_could_do_had_nowhere_to_go() -> None:
    outage = Outage("a", "killed", 10.5, 20)
    assert kind(failed("at-b", sort="speech"), outage, {"speech": {"a"}}) == "nowhere to go"
    assert kind(failed("at-b", sort="text"), outage, {"speech": {"a"}}) == "lost"


def test_what_a_server_that_is_cut_off_can_do_alone_is_lost_if_it_fails() -> None:
    outage = Outage("a", "cut", 10.5, 20)
    assert kind(failed("at-a", sort="speech"), outage, {"speech": {"b"}}) == "nowhere to go"
    assert kind(failed("at-a", sort="text"), outage, {"speech": {"b"}}) == "lost"


def test_answers_are_what_they_are() -> None:
    wrong = Asked("any", "wrong", 10, 11, Reply("at-a", {}))
    assert kind(wrong, Outage("a", "killed", 10.5, 20)) == "wrong"
