from __future__ import annotations

from dataclasses import replace

from corntriton.record.signature import ModelSignature, Signature
from corntriton.runtime.limits import Gate, thread_pool_size
from corntriton.runtime.settings import OrchestratorSettings, Target


class Waiter:
    def __init__(self, name: str = "") -> None:
        self.name = name
        self.alive = True


def test_a_full_gate_passes_its_places_on_in_order_and_skips_the_dead() -> None:
    gate: Gate[Waiter] = Gate(2)
    a, b, c, d = (Waiter(name) for name in "abcd")
    assert [gate.enter(waiter) for waiter in (a, b, c, d)] == [True, True, False, False]
    assert (gate.in_flight, gate.waiting) == (2, 2)
    c.alive = False
    assert gate.leave() is d
    assert gate.leave() is None
    assert gate.leave() is None
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_those_that_wait_may_go_along_with_one_that_was_admitted_if_they_fit() -> None:
    gate: Gate[Waiter] = Gate(1)
    first, *waiting = (Waiter(name) for name in ("a", "a", "b", "a", "a", "a"))
    assert gate.enter(first)
    assert not any([gate.enter(waiter) for waiter in waiting])
    waiting[0].alive = False
    mates = gate.join(lambda waiter: waiter.name == first.name, 2)
    assert mates == [waiting[2], waiting[3]]
    assert (gate.in_flight, gate.waiting) == (1, 2)  # they share its place; the others keep their order
    assert [gate.leave(), gate.leave(), gate.leave()] == [waiting[1], waiting[4], None]
    assert gate.join(lambda waiter: True, 2) == []


def test_the_dead_do_not_pile_up_behind_a_component_that_hangs() -> None:
    gate: Gate[Waiter] = Gate(1)
    gate.enter(Waiter())
    living = Waiter()
    gate.enter(living)
    for _ in range(10_000):
        dead = Waiter()
        gate.enter(dead)
        dead.alive = False
    assert gate.waiting < 200
    assert gate.leave() is living


ENSEMBLE = Target("e", True, 1000, ensemble=True)  # it runs on the instances of the others
REMOTE = Target("r", True, 1000, server="other")  # it is called over the network


def settings(*limits: int) -> OrchestratorSettings:
    targets = {str(number): Target(str(number), True, limit) for number, limit in enumerate(limits)}
    return OrchestratorSettings(ModelSignature("m", Signature({}, {}), {}), "f.py:f", targets, {})


def test_the_pool_of_the_python_backend_has_a_thread_for_each_call_of_the_busiest_orchestrator() -> None:
    assert thread_pool_size([]) == 32
    assert thread_pool_size([settings(4, 4)]) == 32
    assert thread_pool_size([settings(4), settings(64, 64)]) == 136
    assert thread_pool_size([settings(4000)]) == 512
    within = settings(4, 64)
    assert thread_pool_size([replace(within, targets={**within.targets, "e": ENSEMBLE, "r": REMOTE})]) == 76
