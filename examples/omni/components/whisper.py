"""Whisper base as two components: speech becomes encoder states (1500 x 512), and these become text."""

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from components.decoding import greedy
from corntriton import InvalidRequestError

SAMPLE_RATE_HZ = 16_000
WINDOW_S = 30  # Whisper hears windows of this length; shorter speech is padded


class Encoder:
    """pcm at 16 kHz -> states."""

    def load(self, context):
        self.threads = context.settings["threads"]
        self.features = WhisperFeatureExtractor()
        self.encoder = _model(context).get_encoder()

    @torch.inference_mode()
    def __call__(self, items):
        torch.set_num_threads(self.threads)
        results = [self._too_long(item["pcm"]) for item in items]
        heard = [item["pcm"] for item, error in zip(items, results, strict=True) if error is None]
        if heard:
            mels = self.features(heard, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_features
            states = iter(self.encoder(mels).last_hidden_state.numpy())
        return [error or {"states": next(states)} for error in results]

    def _too_long(self, pcm: np.ndarray) -> InvalidRequestError | None:
        seconds = len(pcm) / SAMPLE_RATE_HZ
        if seconds <= WINDOW_S:
            return None
        return InvalidRequestError(f"{seconds:.1f} s of speech; Whisper hears {WINDOW_S} s")


class Decoder:
    """states -> text."""

    def load(self, context):
        self.threads = context.settings["threads"]
        self.max_new_tokens = context.settings["max_new_tokens"]
        self.tokenizer = Tokenizer.from_file(str(context.file("weights") / "tokenizer.json"))
        self.stop = self.tokenizer.token_to_id("<|endoftext|>")
        task = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
        self.prompt = [self.tokenizer.token_to_id(token) for token in task]
        model = _model(context)
        self.decoder, self.head = model.get_decoder(), model.proj_out

    def __call__(self, items):
        torch.set_num_threads(self.threads)
        return [{"text": self._transcribe(torch.from_numpy(item["states"]))} for item in items]

    def _transcribe(self, states: torch.Tensor) -> str:
        def step(ids, cache):
            out = self.decoder(ids, encoder_hidden_states=states[None], past_key_values=cache, use_cache=True)
            # The ids above `stop` are control tokens, never part of a transcript.
            return self.head(out.last_hidden_state[0, -1])[: self.stop + 1], out.past_key_values

        tokens = greedy(step, self.prompt, self.stop, self.max_new_tokens)
        return self.tokenizer.decode(list(tokens)).strip()


def _model(context) -> WhisperForConditionalGeneration:
    weights = context.file("weights")
    return WhisperForConditionalGeneration.from_pretrained(weights, dtype=torch.float32).eval()
