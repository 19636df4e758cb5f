"""A component without a server: loaded as a worker process loads it, called, and timed."""

import importlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from corntriton.spec.load import load_models
from corntriton.spec.profiles import Latency, Sample

MODEL = Path(__file__).with_name("model.yaml")


class Item(dict[str, Any]):
    """One call's inputs, as a component gets them."""

    def cancelled(self) -> bool:
        return False


class Run(NamedTuple):
    """A call: the outputs of its first item, and the seconds to the first chunk and to the end."""

    outputs: Mapping[str, Any]
    first_s: float
    done_s: float


@dataclass
class Part:
    """A loaded component."""

    name: str
    component: Any
    max_batch: int

    @classmethod
    def load(cls, name: str) -> "Part":
        """Loads it as a worker process would."""
        declared = load_models([MODEL])[0].components[name]
        module, _, kind = declared.artifact.partition(":")
        component = getattr(importlib.import_module(module), kind)()
        component.load(SimpleNamespace(settings=declared.spec.settings, file=declared.files.__getitem__))
        return cls(name, component, declared.spec.batching.max_batch_size)

    def run(self, items: Sequence[Item]) -> Run:
        began_s = time.perf_counter()
        if not hasattr(self.component, "stream"):
            outputs = self.component(items)[0]
            done_s = time.perf_counter() - began_s
            return Run(outputs, done_s, done_s)
        chunks = self.component.stream(items[0])
        pieces, first_s = [next(chunks)["text"]], time.perf_counter() - began_s
        pieces += [chunk["text"] for chunk in chunks]
        return Run({"text": "".join(pieces)}, first_s, time.perf_counter() - began_s)

    def work(self, item: Item, outputs: Mapping[str, Any]) -> int:
        """How much work a call was, in the component's unit."""
        if self.name in ("asr_decoder", "chat"):
            return len(self.component.tokenizer.encode(outputs["text"], add_special_tokens=False).ids)
        if self.name == "ocr":
            return len(outputs["text"].splitlines())
        return len(item["text"][0]) if self.name == "voice" else 1

    def sample(self, item: Item, batch: int, repeat: int) -> Sample:
        """Times of equal calls; the faster half counts."""
        runs = sorted((self.run([item] * batch) for _ in range(repeat)), key=lambda run: run.done_s)
        _, first_s, done_s = zip(*runs[: (repeat + 1) // 2], strict=True)
        latency = Latency(mean_s=np.mean(done_s), std_s=np.std(done_s))
        first_chunk_s = np.mean(first_s) if hasattr(self.component, "stream") else None
        work = self.work(item, runs[0].outputs)
        return Sample(batch=batch, work=work, latency=latency, first_chunk_s=first_chunk_s, count=len(done_s))
