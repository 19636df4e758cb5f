"""Components that compute something small and checkable."""

import time

import numpy as np


class Component:
    def load(self, context):
        self.settings = context.settings

    def __call__(self, items):
        return [self.one(item) for item in items]


class Listen(Component):
    def one(self, item):
        return {"text": f"{item['pcm'].sum():.0f} in {len(item['pcm'])} samples"}


class Caption(Component):
    def one(self, item):
        return {"caption": f"{len(item['image'][0])} bytes"}


class Compose(Component):
    def __call__(self, items):
        time.sleep(self.settings["nap_s"])
        return super().__call__(items)

    def one(self, item):
        text = item["text"][0].decode() if "text" in item else "nothing"
        captions = [caption[0].decode() for caption in item.get("captions", [])]
        return {"text": " and ".join([text, *captions])}


class Shout(Component):
    def one(self, item):
        return {"text": item["text"][0].decode().upper()}


class Tell(Component):
    """Three sentences, word by word."""

    def stream(self, item):
        text = item["text"][0].decode()
        for word in f"It was {text}. Then it was more! The end.".split(" "):
            yield {"story": word if word == "end." else word + " "}


class Voice(Component):
    """A sample for every letter of a sentence."""

    def one(self, item):
        return {"pcm": np.frombuffer(item["text"][0].strip(), np.uint8).astype(np.float32)}
