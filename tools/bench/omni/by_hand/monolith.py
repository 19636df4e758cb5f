"""The whole example as one Triton model, as one writes it by hand: plain Python, no runtime below it.

Requests are answered one after the other, each as soon as it is done. Of those that Triton hands over
together all speech is encoded in one batch: that is all that a batch of requests has in common.
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import triton_python_backend_utils as pb_utils
from components.kokoro import Voice
from components.minilm import Embedder
from components.ocr import Reader
from components.painter import Digits
from components.smollm import Chat
from components.whisper import Decoder, Encoder

SENTENCE = re.compile(r"(?<=[.!?])\s+")


class Item(dict):
    """What a streamed component takes; nobody cancels here."""

    def cancelled(self):
        return False


def loaded(component, weights, **settings):
    instance = component()
    instance.load(SimpleNamespace(file=lambda name: weights, settings=settings))
    return instance


def only(component, **inputs):
    """One call of one item; a component gives the error that it has instead of an answer."""
    (result,) = component([inputs])
    if isinstance(result, Exception):
        raise result
    return result


def text(value):
    return np.array([value.encode()], object)


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        weights, digits, threads = (
            parameters[name]["string_value"] for name in ("weights", "digits", "threads")
        )
        weights, threads = Path(weights), int(threads)
        self.encoder = loaded(Encoder, weights / "whisper", threads=threads)
        self.decoder = loaded(Decoder, weights / "whisper", threads=threads, max_new_tokens=200)
        self.ocr = loaded(Reader, weights / "rapidocr", threads=threads)
        self.chat = loaded(Chat, weights / "smollm", threads=threads, max_new_tokens=80)
        self.voice = loaded(Voice, weights / "kokoro", threads=threads)
        self.embedder = loaded(Embedder, weights / "minilm", threads=threads)
        self.painter = loaded(Digits, Path(digits), threads=threads, steps=20, seed=0)
        torch.set_num_threads(threads)

    def execute(self, requests):
        inputs = [
            {tensor.name(): tensor.as_numpy()[0] for tensor in request.inputs()} for request in requests
        ]
        heard = self.hear(inputs)
        for request, values, states in zip(requests, inputs, heard, strict=True):
            try:
                response = pb_utils.InferenceResponse(self.answer(request, values, states))
            except Exception as error:
                response = pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
            request.get_response_sender().send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def hear(self, inputs):
        """The encoder's states of every request that brings speech, or its error; None for the others."""
        speech = [{"pcm": values["audio"]} for values in inputs if "audio" in values]
        states = iter(self.encoder(speech) if speech else [])
        return [next(states) if "audio" in values else None for values in inputs]

    def answer(self, request, values, heard):
        wanted = request.requested_output_names()
        read_aloud = json.loads(request.parameters() or "{}").get("read_aloud", False)
        outputs = self.run(values, heard, wanted, read_aloud)
        return [pb_utils.Tensor(name, outputs[name][None]) for name in wanted]

    def run(self, values, heard, wanted, read_aloud):
        typed, spoken = values.get("text"), None
        if isinstance(heard, Exception):
            raise heard
        if heard is not None:
            spoken = text(only(self.decoder, states=heard["states"])["text"])
        question = spoken if typed is None else typed
        outputs = {"transcript": spoken}
        if "image" in wanted:
            outputs["image"] = self.paint(typed if spoken is None else spoken)
        if "answer" in wanted or ("speech" in wanted and not read_aloud):
            outputs["answer"] = text(self.reply(question, values))
        if "speech" in wanted:
            outputs["speech"] = self.speak(question if read_aloud else outputs["answer"])
        return outputs

    def paint(self, wish):
        embedding = only(self.embedder, text=wish)["embedding"]
        return np.array([only(self.painter, embedding=embedding)["png"]], object)

    def reply(self, question, values):
        pictures = [*values.get("images", ()), *values.get("frames", ())]
        seen = [text(only(self.ocr, image=picture)["text"]) for picture in pictures]
        return "".join(piece["text"] for piece in self.chat.stream(Item(prompt=question, context=seen)))

    def speak(self, said):
        sentences = SENTENCE.split(said[0].decode().strip())
        return np.concatenate([only(self.voice, text=text(sentence))["pcm"] for sentence in sentences])
