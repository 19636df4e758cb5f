"""Kokoro-82M: speaks a sentence."""

import json
from textwrap import wrap

import numpy as np
import onnxruntime as ort

from components.english import Pronunciation

MAX_TOKENS = 500  # the model takes 510, with a few to spare
PAUSE = np.zeros(2400, np.float32)  # 0.1 s at the model's 24 kHz: what text without any word sounds like


class Voice:
    """text -> pcm at 24 kHz."""

    def load(self, context):
        weights, options = context.file("weights"), ort.SessionOptions()
        options.intra_op_num_threads = context.settings["threads"]
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others want the cores
        self.model = ort.InferenceSession(str(weights / "kokoro.onnx"), options, ["CPUExecutionProvider"])
        self.token_of = json.loads((weights / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        self.styles = np.load(weights / "voice.npy")  # one per number of tokens
        self.pronunciation = Pronunciation.read(weights / "cmudict.dict")

    def __call__(self, items):
        return [{"pcm": self._speak(item["text"][0].decode())} for item in items]

    def _speak(self, text: str) -> np.ndarray:
        phonemes = self.pronunciation.of(text)
        if not any(map(str.isalpha, phonemes)):
            return PAUSE
        return np.concatenate([self._utter(part) for part in wrap(phonemes, MAX_TOKENS)])

    def _utter(self, phonemes: str) -> np.ndarray:
        tokens = [self.token_of[phoneme] for phoneme in phonemes if phoneme in self.token_of]
        feed = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": self.styles[len(tokens) - 1],
            "speed": np.ones(1, np.float32),
        }
        return self.model.run(None, feed)[0]
