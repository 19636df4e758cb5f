"""What one writes by hand for a chain of models: synchronous BLS, one request at a time per instance."""

import json

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self.chain = parameters["chain"]["string_value"].split()

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        tensor = pb_utils.get_input_tensor_by_name(request, "x")
        for model in self.chain:
            call = pb_utils.InferenceRequest(
                model_name=model,
                requested_output_names=["y"],
                inputs=[pb_utils.Tensor("x", tensor.as_numpy())],
            )
            response = call.exec()
            if response.has_error():
                return pb_utils.InferenceResponse(error=response.error())
            tensor = pb_utils.get_output_tensor_by_name(response, "y")
        return pb_utils.InferenceResponse([pb_utils.Tensor("y", tensor.as_numpy())])
