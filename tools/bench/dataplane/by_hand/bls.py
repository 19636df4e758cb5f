"""The stages as models of their own, called one after the other by BLS, as one writes it by hand."""

import json

import triton_python_backend_utils as pb_utils


class StageError(Exception):
    pass


def call(model, inputs, output):
    """Tensors go in as they came: nothing is copied here."""
    request = pb_utils.InferenceRequest(model_name=model, inputs=inputs, requested_output_names=[output])
    response = request.exec()
    if response.has_error():
        raise StageError(response.error().message())
    return pb_utils.get_output_tensor_by_name(response, output)


def chain(inputs):
    words = call("hand_make", inputs, "words")
    return call("hand_last", [call("hand_rewrite", [words], "rewritten")], "checksum")


def diamond(inputs):
    words = call("hand_make", inputs, "words")
    left = call("hand_left", [words], "left")
    right = call("hand_right", [words], "right")
    return call("hand_join", [left, right], "checksum")


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self.run = {"chain": chain, "diamond": diamond}[parameters["shape"]["string_value"]]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            return pb_utils.InferenceResponse([self.run(request.inputs())])
        except StageError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
