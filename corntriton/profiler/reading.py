"""A reading: everything that was seen at one point, as plain data, and the journal that keeps them.

The journal lies beside the profiles as `<file>.partial`, a line for each reading. A run that was interrupted,
or whose budget was spent, goes on from it: a reading counts again if nothing that it depends on has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as File

from corntriton.profiler.items import Item
from corntriton.profiler.subject import Subject


@dataclass(frozen=True)
class Point:
    """What is measured at once.

    Attributes:
        subject: The component, and what it is beside.
        batch: Items worked on together.
        work: Of each.
        items: With that work.
    """

    subject: Subject
    batch: int
    work: float
    items: tuple[Item, ...]

    @property
    def label(self) -> str:
        """For people."""
        beside = f" beside {', '.join(self.subject.beside)}" if self.subject.beside else ""
        return f"{self.subject.name}{beside}, batch {self.batch}, work {self.work:g}"

    def key(self, conditions: Sequence[str]) -> str:
        """Equal for equal points under equal conditions."""
        shapes = [sorted((name, array.shape) for name, array in i.inputs.items()) for i in self.items]
        component = self.subject.served.component.key
        parts = (self.subject.name, *self.subject.beside, component, self.batch, self.work, shapes)
        return hashlib.sha256(repr((parts, tuple(conditions))).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Reading:
    """What was seen.

    Attributes:
        component: `model/component`.
        beside: The others in its process.
        batch: Items worked on together.
        work: Of each.
        times_s: Each run that counts, outliers included.
        cut: Runs before them, taken for warm-up.
        steady: Whether the criterion was met.
        first_s: Of streams, each run's time to its first chunk.
        chunks: Of a stream, on average.
        saturated_s: Time per execution with a queue that is never empty.
        queue_s: What a request waited then.
        rows: Mean size of a batch then.
        start_up_s: To load it.
        weights_bytes: That loading and the first call took.
        batch_bytes: That this batch took beyond them.
        outputs: Mean bytes of each output of one item.
        others: Share of the machine's cores that other programs took meanwhile.
        synthetic: It was measured with made-up inputs.
    """

    component: str
    beside: tuple[str, ...]
    batch: int
    work: float
    times_s: tuple[float, ...]
    cut: int
    steady: bool
    first_s: tuple[float, ...]
    chunks: float
    saturated_s: float | None
    queue_s: float | None
    rows: float | None
    start_up_s: float
    weights_bytes: int
    batch_bytes: int
    outputs: Mapping[str, float]
    others: float
    synthetic: bool


class Journal:
    """Readings by the key of their point, kept in a file as they come.

    Args:
        file: Made with the first reading.
    """

    def __init__(self, file: File) -> None:
        self.file = file
        self._readings: dict[str, Reading] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                self._remember(line)

    def get(self, key: str) -> Reading | None:
        """The reading of a point, if it was taken before."""
        return self._readings.get(key)

    def add(self, key: str, reading: Reading) -> None:
        """Keeps a reading, in the file too before this returns."""
        self._readings[key] = reading
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"key": key, **asdict(reading)}) + "\n")

    def remove(self) -> None:
        """Removes the file, when all that was asked for was measured."""
        self.file.unlink(missing_ok=True)

    def _remember(self, line: str) -> None:
        """A line that was cut off, or is of another version, is no reading."""
        try:
            data = json.loads(line)
            key = data.pop("key")
            lists = {name: tuple(data[name]) for name in ("beside", "times_s", "first_s")}
            self._readings[key] = Reading(**{**data, **lists})
        except (ValueError, KeyError, TypeError, AttributeError):
            return
