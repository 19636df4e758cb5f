"""The same on an event loop of its own, so that one instance holds many requests, as an expert writes it."""

import asyncio
import json
import threading

import triton_python_backend_utils as pb_utils


class StageError(Exception):
    pass


async def call(model, inputs, output):
    request = pb_utils.InferenceRequest(model_name=model, inputs=inputs, requested_output_names=[output])
    response = await request.async_exec()
    if response.has_error():
        raise StageError(response.error().message())
    return pb_utils.get_output_tensor_by_name(response, output)


async def chain(inputs):
    words = await call("hand_make", inputs, "words")
    rewritten = await call("hand_rewrite", [words], "rewritten")
    return await call("hand_last", [rewritten], "checksum")


async def diamond(inputs):
    words = await call("hand_make", inputs, "words")
    both = call("hand_left", [words], "left"), call("hand_right", [words], "right")
    return await call("hand_join", await asyncio.gather(*both), "checksum")


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self.run = {"chain": chain, "diamond": diamond}[parameters["shape"]["string_value"]]
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def execute(self, requests):
        for request in requests:
            answer = self.answer(request.inputs(), request.get_response_sender())
            asyncio.run_coroutine_threadsafe(answer, self.loop)

    async def answer(self, inputs, sender):
        try:
            response = pb_utils.InferenceResponse([await self.run(inputs)])
        except StageError as error:
            response = pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def finalize(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
