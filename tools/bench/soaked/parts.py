import work


class Part:
    def load(self, context):
        self.empty = context.empty

    def __call__(self, items):
        return [self.one(item) for item in items]


class Make(Part):
    def one(self, item):
        return {"data": work.make(item["size"], item["seed"], self.empty)}


class Scramble(Part):
    def one(self, item):
        return {"scrambled": work.scramble(item["data"], self.empty)}


class Mirror(Part):
    """Returns a view of its input: the host has to copy it."""

    def one(self, item):
        return {"mirrored": work.mirror(item["data"])}


class Digest(Part):
    def one(self, item):
        return {"digest": work.digest(item["left"], item["right"])}


class Turn(Part):
    def one(self, item):
        return {"turned": work.turn(item["page"])}


class Bind(Part):
    def one(self, item):
        return {"book": work.bind(item["pages"])}
