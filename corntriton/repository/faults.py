"""A broken rule of Triton's, and what a config is judged by beside itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corntriton.repository.pbtxt import ModelConfig


@dataclass(frozen=True)
class Fault:
    """A broken rule.

    Attributes:
        field: Its place, such as `dynamic_batching.preferred_batch_size`.
        what: As in Problem.
        fix: As in Problem.
    """

    field: str
    what: str
    fix: str


@dataclass(frozen=True)
class Surroundings:
    """What a config is judged by beside itself.

    Attributes:
        directory: The name of the model's folder.
        embedded: The server is the embedded 2.51, which has the Python backend only.
        others: The configs of the whole repository, by name.
    """

    directory: str
    embedded: bool = False
    others: Mapping[str, ModelConfig] = field(default_factory=dict)
