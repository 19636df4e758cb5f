"""How long a tensor takes to the GPU memory of another process: by CUDA IPC, and staged by the host.

Each figure is from the first call of the producer until the consumer has it ready on its device and has said
so through a pipe; the pipe alone is beside them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.runtime.cuda.outside import Outsider
from tests.runtime.cuda.world import MB, Process, World

SIZES = (64, 64 * 1024, MB, 16 * MB, 64 * MB)
_ROUNDS = 25
_WARM_UP_ROUNDS = 3
_ARENA_BYTES = 256 * MB


class Figure(NamedTuple):
    """For tensors of one size, medians.

    Attributes:
        nbytes: The size.
        pipe_ms: A word to the other process and back.
        in_place_ms: Written into the arena, hence not copied.
        copied_ms: Copied into the arena.
        staged_ms: Copied to the host's arena, and from there.
    """

    nbytes: int
    pipe_ms: float
    in_place_ms: float
    copied_ms: float
    staged_ms: float

    @property
    def copied_gb_per_s(self) -> float:
        """Of what is copied into the arena, without the pipe."""
        return self.nbytes / 1e6 / max(self.copied_ms - self.pipe_ms, 1e-6)


def measure() -> list[Figure]:
    """One figure per size; the variants take turns."""
    world = World(max_bytes=_ARENA_BYTES)
    try:
        consumer = world.process(_ARENA_BYTES)
        return [_of_size(world, consumer, nbytes) for nbytes in SIZES]
    finally:
        world.close()


def show(figures: list[Figure]) -> None:
    """Prints a table."""
    print(
        f"{'size':>10} {'pipe':>9} {'in place':>9} {'copied':>9} {'by host':>9}   by host / in place, copied"
    )
    for one in figures:
        times = (one.pipe_ms, one.in_place_ms, one.copied_ms, one.staged_ms)
        ratios = (one.staged_ms / one.in_place_ms, one.staged_ms / one.copied_ms)
        cells = " ".join(f"{ms:6.3f} ms" for ms in times)
        print(
            f"{one.nbytes:>10} {cells}   x{ratios[0]:.2f}, x{ratios[1]:.2f};"
            f" copied at {one.copied_gb_per_s:.1f} GB/s"
        )


def _of_size(world: World, consumer: Process, nbytes: int) -> Figure:
    stream = world.stream()
    source = Outsider(stream, nbytes)
    source.fill(1)

    def in_place() -> None:
        made = world.memory.empty((nbytes,), source.dtype)
        _send(world, consumer, lambda tag: world.memory.put(made, tag))

    variants: list[Callable[[], object]] = [
        lambda: consumer.ask("nothing"),
        in_place,
        lambda: _send(world, consumer, lambda tag: world.memory.put(source, tag)),
        lambda: _send(world, consumer, lambda tag: world.memory.stage(source, tag)),
    ]
    rounds = [[_ms(variant) for variant in variants] for _ in range(_WARM_UP_ROUNDS + _ROUNDS)]
    source.close()
    return Figure(nbytes, *map(statistics.median, zip(*rounds[_WARM_UP_ROUNDS:], strict=True)))


def _send(world: World, consumer: Process, put: Callable[..., bytes]) -> None:
    request = world.shared.owner.enter()
    answer = consumer.ask("receive", put(request.tag).hex())
    request.end()
    if answer != "received":
        raise AssertionError(f"the consumer answered {answer}")


def _ms(variant: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    variant()
    return 1000 * (time.perf_counter() - begin_s)
