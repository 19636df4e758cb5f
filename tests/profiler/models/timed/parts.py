"""Components that sleep for as long as they were told, and take memory that can be told apart."""

import time

import numpy as np

WEIGHTS_BYTES, ITEM_BYTES = 64 << 20, 16 << 20


class Nap:
    def load(self, context):
        self.settings = context.settings
        self.weights = np.ones(WEIGHTS_BYTES, np.uint8)

    def __call__(self, items):
        texts = [item["text"][0].decode() for item in items]
        taken = np.ones(len(items) * ITEM_BYTES, np.uint8)
        time.sleep(self.settings["batch_s"] + self.settings["word_s"] * len(" ".join(texts).split()))
        return [{"text": text[: len(taken)]} for text in texts]


class Say:
    def load(self, context):
        self.settings = context.settings

    def stream(self, item):
        time.sleep(self.settings["first_s"])
        for word in item["text"][0].decode().split():
            yield {"story": f"{word} "}
            time.sleep(self.settings["word_s"])
