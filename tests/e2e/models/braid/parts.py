"""Components that compute something small and checkable."""


class Component:
    def load(self, context):
        pass

    def __call__(self, items):
        return [self.one(item) for item in items]


class Split(Component):
    """Long sounds have a label."""

    def one(self, item):
        pcm = item["pcm"]
        parts = {"low": pcm + 1, "high": pcm - 1}
        return {**parts, "label": "long"} if len(pcm) > 4 else parts


class Louder(Component):
    def one(self, item):
        return {"y": item["x"] * (item["times"][0] if "times" in item else 2)}


class Softer(Component):
    def one(self, item):
        return {"y": item["x"] / 4}


class Join(Component):
    def one(self, item):
        sound = item["a"] + item["b"] + (len(item["note"][0]) if "note" in item else 0)
        return {"sound": sound, "total": sound.sum()}


class Counter(Component):
    def one(self, item):
        return {"count": sum(len(word[0]) for word in item["words"])}
