"""Components whose tensors vary in size, and so pass by ref."""

import numpy as np


class Fill:
    def load(self, context):
        self.empty = context.empty

    def __call__(self, items):
        return [{"data": self.one(int(item["size"][0]))} for item in items]

    def one(self, size):
        data = self.empty(size, np.uint8)
        data[:] = 1
        return data


class Count:
    def load(self, context):
        pass

    def __call__(self, items):
        return [{"total": int(item["data"].sum())} for item in items]


class Turn:
    def load(self, context):
        pass

    def __call__(self, items):
        return [{"lines": np.array([line[::-1] for line in item["lines"]], object)} for item in items]


class Invert:
    """Also says how many images it was given at once."""

    def load(self, context):
        pass

    def __call__(self, items):
        return [{"image": 255 - item["image"], "batch": len(items)} for item in items]
