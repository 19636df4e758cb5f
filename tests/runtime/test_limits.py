from __future__ import annotations

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


def settings(*limits: int) -> OrchestratorSettings:
    targets = {str(number): Target(str(number), True, limit) for number, limit in enumerate(limits)}
    return OrchestratorSettings(ModelSignature("m", Signature({}, {}), {}), "f.py:f", targets, {})


def test_the_pool_of_the_python_backend_has_a_thread_for_each_call_of_the_busiest_orchestrator() -> None:
    assert thread_pool_size([]) == 32
    assert thread_pool_size([settings(4, 4)]) == 32
    assert thread_pool_size([settings(4), settings(64, 64)]) == 136
    assert thread_pool_size([settings(4000)]) == 512
