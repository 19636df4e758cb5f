"""Components that the tests serve; packed beside the host as a user's code would be."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from corntriton import InvalidRequestError


class Probe:
    """Doubles x; what it is told to do comes as x's first number."""

    def load(self, context):
        self.context = context
        self.batches = 0

    def __call__(self, items):
        self.batches += 1
        return [self.one(item, len(items)) for item in items]

    def one(self, item, n_items):
        order = item["x"][0]
        if order == -1:
            raise ValueError("minus one")
        if order == -2:
            return KeyError("minus two")
        if order == -3:
            os.kill(os.getpid(), signal.SIGKILL)
        if order == -4:
            time.sleep(3600)
        if order == -5:
            time.sleep(0.5)
        if order == -6:
            return {"y": ["no", "numbers"]}
        if order == -7:
            return {}
        if order == -8:
            return {"y": np.zeros((2, 2), np.float32)}
        if order == -9:
            while not item.cancelled():
                time.sleep(0.01)
            Path(self.context.settings["note"]).write_text("cancelled")
        if order == -10:
            raise InvalidRequestError("minus ten is out of range")
        return {"y": item["x"] * 2, "n_items": n_items, "pid": os.getpid()}


class Echo:
    """Texts and lists: joins them, and tells what it was given."""

    def load(self, context):
        self.greeting = context.file("greeting").read_text()
        context.log(f"greets with {self.greeting}")

    def __call__(self, items):
        return [self.one(item) for item in items]

    def one(self, item):
        names = b"+".join(element[0] for element in item["names"])
        kinds = sorted(item)
        return {
            "said": b"%s %s" % (self.greeting.encode(), names),
            "kinds": kinds,
            "all": [[k] for k in kinds],
        }


class Broken:
    def load(self, context):
        raise FileNotFoundError("no weights here")

    def __call__(self, items):
        return []


class Fragile:
    """Loads only while its note exists; removes it when it is unloaded."""

    def load(self, context):
        self.note = Path(context.settings["note"])
        self.note.read_text()

    def __call__(self, items):
        if items[0]["x"][0] == -4:
            time.sleep(3600)
        return [{"y": os.getpid()} for item in items]

    def unload(self):
        self.note.unlink()


class Counter:
    """Streams numbers; leaves a note when it is closed."""

    def load(self, context):
        self.note = context.settings.get("note")

    def stream(self, item):
        try:
            for number in range(int(item["count"][0])):
                if number == 3 and item.get("fail") is not None:
                    raise ValueError("three is too many")
                if item.get("pause_s") is not None:
                    time.sleep(float(item["pause_s"][0]))
                yield {"number": number, "word": f"w{number}"}
                if number == 2 and item.get("die") is not None:
                    os.kill(os.getpid(), signal.SIGKILL)
        finally:
            if self.note:
                Path(self.note).write_text("closed")


class Sum:
    """Keeps a sum per sequence."""

    def load(self, context):
        self.sums = {}

    def __call__(self, items):
        return [self.one(item) for item in items]

    def one(self, item):
        identity, first, last = item.sequence
        total = item["x"][0] + (0 if first else self.sums[identity])
        self.sums[identity] = total
        if last:
            del self.sums[identity]
        return {"total": total}


class Empty:
    """Computes nothing."""

    def __call__(self, items):
        return [{"y": item["x"]} for item in items]
