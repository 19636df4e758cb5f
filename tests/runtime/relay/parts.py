"""Components that do what their text tells them: sleep, fail, die once, or talk until nobody listens."""

import os
import signal
import time
from pathlib import Path


def text_of(item):
    return item["text"][0].decode()


def obey(text):
    order, _, rest = text.partition(" ")
    if order == "sleep":
        time.sleep(float(rest))
    elif order == "fail":
        raise ValueError("told to fail")
    elif order == "die" and not Path(rest).exists():
        Path(rest).touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Shout:
    def load(self, context):
        pass

    def __call__(self, items):
        return [self.one(item) for item in items]

    def one(self, item):
        obey(text_of(item))
        return {"text": text_of(item).upper()}


class Merge(Shout):
    def one(self, item):
        return {"text": b"+".join(text[0] for text in item["texts"])}


class Speak(Shout):
    """One sample per character."""

    def one(self, item):
        return {"pcm": [float(len(text_of(item)))]}


class Tally(Shout):
    """Numbers the chunks of a sequence, and marks its ends."""

    def load(self, context):
        self.counts = {}

    def one(self, item):
        key, first, last = item.sequence
        self.counts[key] = 1 if first else self.counts[key] + 1
        return {"text": f"{'<' * first}{self.counts[key]}{'>' * last}"}


class Talk(Shout):
    """Says its text word by word; `note FILE` talks until nobody listens and then leaves the file."""

    def stream(self, item):
        text = text_of(item)
        if text.startswith("note "):
            yield from self.on_and_on(item, Path(text[5:]))
            return
        obey(text)
        for word in text.split(" "):
            yield {"text": f"{word} "}

    def on_and_on(self, item, note):
        try:
            while not item.cancelled():
                yield {"text": "on. "}
                time.sleep(0.02)
        finally:
            note.write_text("nobody listens")
