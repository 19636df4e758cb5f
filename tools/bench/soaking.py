"""What soaks ask of the model of bench/soaked: requests, their right answers, and what clients do to them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench.soaked import work

from corntriton.serving.client import to_array

MODEL = Path(__file__).parent / "soaked"
# What requests may say whose time is up.
LATE = ("the deadline passed", "cancelled")
_MB = 2**20
_LARGEST_BYTES = 16 * _MB
# Of all requests.
_SHARE_CANCELLED = _SHARE_HURRIED = 0.02
_SHARE_LARGE, _SHARE_MEDIUM = 0.02, 0.08


@dataclass(frozen=True)
class Request:
    """A request, with its right answer."""

    inputs: dict[str, Any]
    output: str
    answer: np.ndarray


@dataclass(frozen=True)
class Fate:
    """What a client does to its request.

    Attributes:
        timeout_s: The deadline that it sets, if it sets one that can hardly be met.
        cancel_after_s: When it leaves, if it does not wait for its answer.
    """

    timeout_s: float | None = None
    cancel_after_s: float | None = None


def draw_fate(draw: random.Random) -> Fate:
    """For most requests, none."""
    fate = draw.random()
    if fate < _SHARE_CANCELLED:
        return Fate(cancel_after_s=draw.uniform(0, 0.02))
    if fate < _SHARE_CANCELLED + _SHARE_HURRIED:
        return Fate(timeout_s=draw.uniform(0.001, 0.02))
    return Fate()


def draw_request(draw: random.Random) -> Request:
    """One of any sort, mostly a small one."""
    sort = draw.choice(("made", "given", "returned", "texts"))
    nbytes, seed = _draw_size(draw), draw.getrandbits(40)
    data = work.make([nbytes], [seed])
    if sort == "texts":
        return _texts(data[:_MB], draw.randint(1, 8))
    if sort == "returned":
        return Request({"data": data}, "scrambled", work.scramble(data))
    inputs = {"data": data} if sort == "given" else {"size": np.array([nbytes]), "seed": np.array([seed])}
    return Request(inputs, "digest", work.digest(work.scramble(data), work.mirror(data)))


def _texts(data: np.ndarray, n_pages: int) -> Request:
    lines = [part.tobytes() for part in np.array_split(data, 2 * n_pages)]
    pages = [to_array(lines[at : at + 2]).reshape(2) for at in range(0, len(lines), 2)]
    return Request({"pages": pages}, "book", work.bind([work.turn(page) for page in pages]))


def _draw_size(draw: random.Random) -> int:
    fate = draw.random()
    if fate < _SHARE_LARGE:
        return draw.randint(_MB, _LARGEST_BYTES)
    if fate < _SHARE_LARGE + _SHARE_MEDIUM:
        return draw.randint(64 * 2**10, _MB)
    return round(64 * 2 ** draw.uniform(0, 10))
