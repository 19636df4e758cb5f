"""profiles.json: what components cost in time, memory and bytes; a file in, frozen Profiles out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from corntriton.errors import Problems
from corntriton.spec.files import read_json
from corntriton.spec.validation import Frozen, validate


class Latency(Frozen):
    """The distribution of one measured time; a plain number is a mean."""

    mean_s: float = Field(gt=0)
    """Mean, in seconds."""
    p50_s: float | None = Field(default=None, gt=0)
    """Median."""
    p95_s: float | None = Field(default=None, gt=0)
    """95th percentile."""
    p99_s: float | None = Field(default=None, gt=0)
    """99th percentile."""
    max_s: float | None = Field(default=None, gt=0)
    """The longest, outliers included."""
    std_s: float = Field(default=0.0, ge=0)
    """Standard deviation; read off p95_s where it is 0 and p95_s is given."""

    def scaled(self, by: float) -> Latency:
        """The distribution of a time that is longer by a factor."""
        return Latency(**{name: value and value * by for name, value in self.model_dump().items()})

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, data: Any) -> Any:
        return {"mean_s": data} if isinstance(data, (int, float)) and not isinstance(data, bool) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, handler(core_schema)]}


class Sample(Frozen):
    """How long a batch takes."""

    batch: int = Field(ge=1)
    """Items worked on together; of an llm with continuous batching, requests that share its steps."""
    work: float = Field(default=1.0, gt=0)
    """Work of each item, in the component's own unit: tokens, seconds of audio, images."""
    latency: Latency
    """From the start of the batch to its last result."""
    first_chunk_s: float | None = Field(default=None, gt=0)
    """Mean time to the first chunk, of a component that streams."""
    chunks: float | None = Field(default=None, gt=0)
    """Mean number of chunks of a stream; (latency - first_chunk_s) / (chunks - 1) is the time for each."""
    saturated_s: float | None = Field(default=None, gt=0)
    """Measured: time per batch with a queue that is never empty, the gaps between batches included."""
    count: int | None = Field(default=None, ge=1)
    """How many runs stand behind it."""
    warm_up: int | None = Field(default=None, ge=0)
    """Runs before them that were cut off."""
    outliers: int | None = Field(default=None, ge=0)
    """Of the runs, those beyond the upper quartile by more than three interquartile ranges; they count."""
    steady: bool | None = None
    """Measured: whether the runs were found to be steady."""


class Memory(Frozen):
    """Device memory of one copy, summed over its tensor-parallel devices."""

    weights_bytes: int = Field(ge=0)
    """Taken as long as the component is loaded."""
    item_bytes: int = Field(default=0, ge=0)
    """Per item in a batch."""
    work_bytes: float = Field(default=0, ge=0)
    """Per item and unit of work: an llm's KV cache per token."""
    resident_work: float | None = Field(default=None, gt=0)
    """Measured: units of work (tokens) that an llm's cache holds here; replaces what memory is left."""


class OutputSize(Frozen):
    """Bytes of one output of one invocation: nbytes + nbytes_per_work x work."""

    nbytes: float = Field(default=0, ge=0)
    """Whatever the work."""
    nbytes_per_work: float = Field(default=0, ge=0)
    """Per unit of work."""


class Provenance(Frozen):
    """Where figures come from, so that an assumption never passes for a measurement."""

    how: Literal["measured", "imported", "assumed"]
    """Measured here, taken from a publication, or assumed."""
    source: str = Field(min_length=1)
    """The command, the publication, or the reason."""
    when: str | None = None
    """The date, of a measurement."""


class Profile(Frozen):
    """One component on one device type in one configuration, alone or beside others on the same devices."""

    component: str = Field(min_length=1)
    """`model/component`, or `component` where one model has it."""
    device: str = Field(min_length=1)
    """A device type of the cluster."""
    tensor_parallel: int = Field(default=1, ge=1)
    """Devices that one copy spans."""
    precision: str = "default"
    """What its weights are held in, where there is a choice."""
    beside: tuple[str, ...] = ()
    """Components that shared the devices when this was measured; none: it had them to itself."""
    samples: tuple[Sample, ...] = Field(min_length=1)
    """Times, by batch and work."""
    memory: Memory
    """What it takes on the devices."""
    start_up_s: float | None = Field(default=None, ge=0)
    """From the order to load it until it answers."""
    outputs: Mapping[str, OutputSize] = Field(default_factory=dict)
    """Sizes of its outputs by name; outputs that are left out are taken for small (0 bytes)."""
    provenance: Provenance
    """Where the figures come from."""

    def scaled(self, by: float) -> Profile:
        """The profile of a component that takes longer by a factor."""
        samples = tuple(
            sample.model_copy(
                update={
                    "latency": sample.latency.scaled(by),
                    "first_chunk_s": sample.first_chunk_s and sample.first_chunk_s * by,
                    "saturated_s": sample.saturated_s and sample.saturated_s * by,
                }
            )
            for sample in self.samples
        )
        return self.model_copy(update={"samples": samples})


class Profiles(Frozen):
    """All profiles at hand."""

    work_units: Mapping[str, str] = Field(default_factory=dict)
    """What one unit of work is, by component, for people."""
    profiles: tuple[Profile, ...] = Field(min_length=1)
    """One for each component, device type and configuration."""


def read_profiles(file: str, problems: Problems) -> Profiles | None:
    """Reads profiles.json; None, with problems noted, where it is not right."""
    document = read_json(file, problems)
    profiles = document and validate(Profiles, document, problems)
    if not document or not profiles:
        return None
    seen: dict[tuple[object, ...], int] = {}
    for index, profile in enumerate(profiles.profiles):
        setting = (profile.component, profile.device, profile.tensor_parallel, profile.precision)
        key = (*setting, tuple(sorted(profile.beside)))
        if key in seen:
            what = f"describes the same component, device and configuration as $.profiles[{seen[key]}]"
            document.note(problems, ("profiles", index), what, "remove one, or join their samples")
        seen.setdefault(key, index)
    return profiles
