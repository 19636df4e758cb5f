class Nothing:
    """Computes nothing: what is left is the cost of getting here and back."""

    def load(self, context):
        pass

    def __call__(self, items):
        return [{"y": item["x"]} for item in items]
