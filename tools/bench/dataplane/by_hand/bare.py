"""An orchestrator that does nothing: each request becomes one call of our public ensemble, on a thread."""

import json
from concurrent.futures import ThreadPoolExecutor

import triton_python_backend_utils as pb_utils

CALLS = 8


class TritonPythonModel:
    def initialize(self, args):
        self.shape = json.loads(args["model_config"])["parameters"]["shape"]["string_value"]
        self.threads = ThreadPoolExecutor(CALLS)

    def execute(self, requests):
        for request in requests:
            self.threads.submit(self.answer, request.inputs(), request.get_response_sender())

    def answer(self, inputs, sender):
        name = f"{self.shape}.sum"
        asked = pb_utils.InferenceRequest(model_name=name, inputs=inputs, requested_output_names=["checksum"])
        found = asked.exec()
        error = found.error() if found.has_error() else None
        response = pb_utils.InferenceResponse([] if error else found.output_tensors(), error)
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
