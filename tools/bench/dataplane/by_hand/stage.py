"""One stage as a Triton model, as one writes it by hand."""

import json

import compute
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.compute = getattr(compute, config["parameters"]["stage"]["string_value"])
        self.output = config["output"][0]["name"]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        inputs = {tensor.name(): tensor.as_numpy()[0] for tensor in request.inputs()}
        return pb_utils.InferenceResponse([pb_utils.Tensor(self.output, self.compute(**inputs)[None])])
