import time


class Risky:
    """Does what the order says: `raise`, `hang`, `nap SECONDS`, anything else is echoed."""

    def load(self, context):
        self.context = context

    def __call__(self, items):
        return [self.one(item) for item in items]

    def one(self, item):
        order, _, seconds = item["order"][0].decode().partition(" ")
        self.context.log(f"{self.context.name} begins to {order}")
        if order == "raise":
            return ValueError("no good order")
        if order == "nap":
            time.sleep(float(seconds))
        while order == "hang":
            time.sleep(1)
        return {"result": item["order"]}


class Drip:
    """Endless drops, until somebody cancels; after the third it may be told to raise."""

    def load(self, context):
        self.log = context.log

    def stream(self, item):
        count = 0
        while not item.cancelled():
            yield {"drop": f"{count} "}
            count += 1
            if count == 3 and item["order"][0] == b"raise":
                raise ValueError("the tap is broken")
            time.sleep(0.02)
        self.log("drip has stopped")
