"""A small diffusion UNet: paints the handwritten digit that comes closest to a wish."""

from io import BytesIO

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from PIL import Image

GUIDANCE = 2.0
PIXEL = 32  # the digits are 8 x 8; each of their pixels is drawn this wide


class Digits:
    """embedding of a wish -> PNG."""

    def load(self, context):
        self.threads = context.settings["threads"]
        self.steps, self.seed = context.settings["steps"], context.settings["seed"]
        weights = context.file("weights")
        self.unet = UNet2DConditionModel.from_pretrained(weights).eval()
        self.wishes = torch.from_numpy(np.load(weights / "wishes.npy"))
        prompts = torch.from_numpy(np.load(weights / "prompts.npy"))  # zero to nine, and the empty text
        self.conditions = ((prompts - prompts[:10].mean(0)) * 8)[:, None]  # as it was trained

    def __call__(self, items):
        torch.set_num_threads(self.threads)
        return [{"png": png(self._paint(torch.from_numpy(item["embedding"])))} for item in items]

    @torch.inference_mode()
    def _paint(self, wish: torch.Tensor) -> np.ndarray:
        digit = int((self.wishes @ wish).argmax())
        condition = self.conditions[[10, digit]]  # without and with the prompt: classifier-free guidance
        scheduler = DDIMScheduler(num_train_timesteps=1000, clip_sample=True)
        scheduler.set_timesteps(self.steps)
        image = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(self.seed))
        for step in scheduler.timesteps:
            free, guided = self.unet(image.expand(2, -1, -1, -1), step, condition).sample
            noise = free + GUIDANCE * (guided - free)
            image = scheduler.step(noise[None], step, image).prev_sample
        return image[0, 0].numpy()


def png(image: np.ndarray) -> bytes:
    """An image of values in [-1, 1], enlarged without smoothing."""
    grey = Image.fromarray(((image.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8))
    file = BytesIO()
    grey.resize((image.shape[1] * PIXEL, image.shape[0] * PIXEL), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()
