"""RapidOCR: reads the text in an image."""

import sys

import cv2
import numpy as np

from corntriton import InvalidRequestError


class Reader:
    """An encoded image (PNG, JPEG) -> its lines of text, from top to bottom."""

    def load(self, context):
        sys.path.insert(0, str(context.file("weights")))  # the unpacked package, code and weights together
        from rapidocr_onnxruntime import RapidOCR

        self.read = RapidOCR(
            intra_op_num_threads=context.settings["threads"],
            inter_op_num_threads=1,
            # By default it enlarges images until their shorter side is 736 pixels, which costs seconds.
            det_limit_type="max",
            det_limit_side_len=960,
        )

    def __call__(self, items):
        return [self._lines(item["image"][0]) for item in items]

    def _lines(self, encoded: bytes) -> dict | InvalidRequestError:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            return InvalidRequestError("the image is in no format that OpenCV decodes")
        found, _ = self.read(image)
        return {"text": "\n".join(text for _box, text, _score in found or [])}
