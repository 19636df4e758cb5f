"""Measures the components on this machine's CPUs, each alone and all in one process; writes profiles.json.

    python examples/omni/measure.py [--output examples/omni/profiles.json] [--rounds 3]

Each set of components is loaded into a fresh process, without a server. What loading adds to the process is
its memory. Other programs at work only ever add time: of each round the faster half of the calls counts, and
of the rounds the fastest.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

import get_weights
import media
import numpy as np
from part import Item, Part
from process import forget_peak, in_fresh_process, machine, peak_bytes, resident_bytes

from corntriton.spec.profiles import Memory, OutputSize, Profile, Profiles, Provenance

HERE = Path(__file__).parent
CALLS = 4  # for each batch and work, in each round
UNITS = {
    "asr_encoder": "windows of 30 s",
    "asr_decoder": "tokens",
    "ocr": "lines of text",
    "chat": "tokens of the answer",
    "voice": "characters",
    "embedder": "texts",
    "painter": "images",
}
# The first makes little work, the last much: the planner interpolates.
SPOKEN = (
    "Good morning.",
    "The museum is open from nine to six on every day but Monday, and tickets cost little.",
)
QUESTIONS = ("What is the capital of France?", "Why is the sky blue?")
LINES = ("Gate 12", "Flight to Paris", "Boarding at 9:40", "Have a nice trip")


def make_items() -> dict[str, list[Item]]:
    """What each component is measured with: less and more work."""
    voice, encoder, embedder = (Part.load(name).component for name in ("voice", "asr_encoder", "embedder"))
    texts = [Item(text=as_input(text)) for text in SPOKEN]
    speech = [Item(pcm=media.as_heard(spoken["pcm"])) for spoken in voice(texts)]
    wish = Item(text=as_input("Please draw the digit seven."))
    return {
        "asr_encoder": speech[-1:],
        "asr_decoder": [Item(heard) for heard in encoder(speech)],
        "ocr": [Item(image=as_input(media.picture(*LINES[:count]))) for count in (1, len(LINES))],
        "chat": [Item(prompt=as_input(question)) for question in QUESTIONS],
        "voice": texts,
        "embedder": [wish],
        "painter": [Item(found) for found in embedder([wish])],
    }


def as_input(value: str | bytes) -> np.ndarray:
    return np.array([value.encode() if isinstance(value, str) else value], object)


def measure(items: Mapping[str, Sequence[Item]], provenance: Provenance) -> list[Profile]:
    """The profiles of the components that these items are for, all in this process."""
    parts, weights_bytes = [], []
    for name in items:
        before = resident_bytes()
        parts.append(Part.load(name))
        parts[-1].run(items[name][:1])  # what is made on first use belongs to the component
        weights_bytes.append(max(0, resident_bytes() - before))
    return [
        Profile(
            component=part.name,
            device="cpu",
            beside=tuple(name for name in items if name != part.name),
            **measured(part, items[part.name], taken),
            provenance=provenance,
        )
        for part, taken in zip(parts, weights_bytes, strict=True)
    ]


def measured(part: Part, items: Sequence[Item], weights_bytes: int) -> dict[str, Any]:
    """Times, memory and sizes of outputs."""
    before = resident_bytes()
    forget_peak()
    batches = sorted({1, part.max_batch})
    samples = tuple(part.sample(item, batch, CALLS) for item in items for batch in batches)
    item_bytes = max(0, peak_bytes() - before) // part.max_batch
    outputs = part.run(items[-1:]).outputs
    per = "nbytes_per_work" if len(items) > 1 else "nbytes"
    sizes = {name: OutputSize(**{per: nbytes(value) / samples[-1].work}) for name, value in outputs.items()}
    memory = Memory(weights_bytes=weights_bytes, item_bytes=item_bytes)
    return {"samples": samples, "memory": memory, "outputs": sizes}


def faster(one: Profile, other: Profile) -> Profile:
    """One profile with the shorter times of two."""
    pairs = zip(one.samples, other.samples, strict=True)
    samples = tuple(min(pair, key=lambda sample: sample.latency.mean_s) for pair in pairs)
    return one.model_copy(update={"samples": samples})


def nbytes(value: Any) -> int:
    return len(value) if isinstance(value, (str, bytes)) else value.nbytes


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the components of the omni example.")
    parser.add_argument("--output", type=Path, default=HERE / "profiles.json")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["CORNTRITON_WEIGHTS"] = str(get_weights.get_weights())
    how = f"the faster half of {CALLS} calls in the fastest of {options.rounds} rounds"
    source = f"examples/omni/measure.py, {how}; {machine()}"
    provenance = Provenance(how="measured", source=source, when=date.today().isoformat())
    items = in_fresh_process(make_items)
    sets = [*({name: items[name]} for name in UNITS), items]
    rounds = []
    for number in range(options.rounds):
        found = [profile for each in sets for profile in in_fresh_process(measure, each, provenance)]
        rounds.append(found)
        print(f"round {number + 1} of {options.rounds}", flush=True)
    best = tuple(reduce(faster, profiles) for profiles in zip(*rounds, strict=True))
    options.output.write_text(
        Profiles(work_units=UNITS, profiles=best).model_dump_json(indent=1, exclude_defaults=True) + "\n"
    )


if __name__ == "__main__":
    main()
