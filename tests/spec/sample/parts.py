class Base:
    def load(self, context):
        self.context = context

    def __call__(self, items):
        return [{} for _ in items]


class Encoder(Base):
    pass


class Decoder(Base):
    pass


class Vision(Base):
    pass


class Tts(Base):
    pass


class Llm:
    def load(self, context):
        self.context = context

    def stream(self, item):
        yield {"text": "word "}
