import compute


class Stage:
    """One of the functions of compute.py."""

    def load(self, context):
        self.compute = getattr(compute, context.settings["function"])
        self.output = context.settings["output"]
        self.empty = context.empty

    def __call__(self, items):
        return [{self.output: self.compute(**item, empty=self.empty)} for item in items]
