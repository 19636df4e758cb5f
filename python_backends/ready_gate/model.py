"""Joins the steps of a readiness probe, which is asked whether it is ready and never run."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Refuses every request, so that a probe cannot start work."""

    def execute(self, requests):
        """One error for each request."""
        text = "this model only tells whether others are ready: GET /v2/models/<model>_ready/ready"
        error = pb_utils.TritonError(text, pb_utils.TritonError.UNSUPPORTED)
        return [pb_utils.InferenceResponse(error=error) for _ in requests]
