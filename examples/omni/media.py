"""What the demo shows the model, and what it saves: pictures drawn here, speech as WAV files."""

import wave
from io import BytesIO
from math import gcd
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.signal import resample_poly

SPOKEN_HZ, HEARD_HZ = 24_000, 16_000  # the rates at which the model speaks and hears


def picture(*lines: str) -> bytes:
    """A PNG with lines of text."""
    image = Image.new("RGB", (480, 360), "white")
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw.text((20, 20 + 60 * row), line, font=ImageFont.load_default(36), fill="navy")
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def as_heard(speech: np.ndarray) -> np.ndarray:
    """Speech at the rate at which the model hears."""
    step = gcd(SPOKEN_HZ, HEARD_HZ)
    return resample_poly(speech, HEARD_HZ // step, SPOKEN_HZ // step).astype(np.float32)


def save_wav(speech: np.ndarray, file: Path) -> None:
    """Writes 16-bit mono."""
    with wave.open(str(file), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SPOKEN_HZ)
        wav.writeframes((speech.clip(-1, 1) * 32767).astype("<i2").tobytes())
