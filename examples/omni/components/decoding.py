"""Greedy decoding with a key-value cache, one token at a time: for Whisper and for SmolLM2."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

# Takes new token ids (1 x n) and the cache of the tokens before them; gives the last logits and the cache.
Step = Callable[[torch.Tensor, Any], tuple[torch.Tensor, Any]]


@torch.inference_mode()
def greedy(step: Step, prompt: list[int], stop: int, max_new_tokens: int) -> Iterator[int]:
    """Yields the most likely next token until `stop`; the caller may leave off at any token."""
    ids, cache = torch.tensor([prompt]), None
    for _ in range(max_new_tokens):
        logits, cache = step(ids, cache)
        token = int(logits.argmax())
        if token == stop:
            return
        yield token
        ids = torch.tensor([[token]])
