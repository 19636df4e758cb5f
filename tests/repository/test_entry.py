"""How each role's servers share out the requests that come to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corntriton.repository.entry import entry_shares
from corntriton.repository.roles import Role


def roles(**nodes: int) -> list[Role]:
    return [Role(name, tuple(f"{name}-{n}" for n in range(count)), ()) for name, count in nodes.items()]


def test_a_server_keeps_what_begins_with_it_and_gives_away_what_is_too_much() -> None:
    both = roles(a=1, b=1)
    assert entry_shares("a", both, {"a": 0.25, "b": 0.75}) == {"a": 0.5, "b": 0.5}
    assert entry_shares("b", both, {"a": 0.25, "b": 0.75}) == {"a": 0.0, "b": 1.0}


def test_a_role_with_no_routes_of_its_own_gives_away_everything() -> None:
    three = roles(a=1, b=1, c=2)
    assert entry_shares("c", three, {"a": 0.375, "b": 0.625}) == {"a": 0.25, "b": 0.75, "c": 0.0}


def test_a_plan_whose_shares_fit_its_nodes_keeps_every_request_at_home() -> None:
    three = roles(a=1, b=2)
    for own in "ab":
        assert entry_shares(own, three, {"a": 1 / 3, "b": 2 / 3})[own] == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 1000)), min_size=1, max_size=6))
def test_all_servers_together_send_each_home_what_the_plan_does(sizes: list[tuple[int, int]]) -> None:
    total = sum(weight for _, weight in sizes) or 1
    some = roles(**{f"r{n}": count for n, (count, _) in enumerate(sizes)})
    homes = {f"r{n}": weight / total for n, (_, weight) in enumerate(sizes)}
    if not any(homes.values()):
        homes["r0"] = 1.0
    n_nodes = sum(len(role.nodes) for role in some)
    sent = dict.fromkeys(homes, 0.0)
    for role in some:
        shares = entry_shares(role.name, some, homes)
        assert sum(shares.values()) == pytest.approx(1.0)
        assert min(shares.values()) >= 0
        for home, share in shares.items():
            sent[home] += len(role.nodes) / n_nodes * share
    assert sent == pytest.approx(homes, abs=1e-9)
