"""Components that tell what they were given: `take` and `take_all` count the tensors they have seen."""

import time

import numpy as np


class Give:
    def load(self, context):
        self.empty = context.empty

    def __call__(self, items):
        return [{"data": self.one(int(item["size"][0]))} for item in items]

    def one(self, size):
        data = self.empty(size, np.uint8)
        data[:] = 1
        return data


class Take:
    def load(self, context):
        self.seen = 0

    def __call__(self, items):
        return [self.one([item["data"]]) for item in items]

    def one(self, datas):
        self.seen += len(datas)
        return {"total": sum(int(data.sum()) for data in datas), "seen": self.seen}


class TakeAll(Take):
    def __call__(self, items):
        return [self.one(item["datas"]) for item in items]


class Hold:
    """Keeps its request alive until the client leaves."""

    def load(self, context):
        self.log = context.log

    def __call__(self, items):
        self.log("hold has begun")
        while not all(item.cancelled() for item in items):
            time.sleep(0.02)
        return [{"total": 0} for _ in items]
