"""Whether what the model made is right, judged by other means than those that made it."""

from difflib import SequenceMatcher
from functools import cache
from io import BytesIO

import numpy as np
from components.english import in_words
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.svm import SVC


def likeness(heard: str, said: str) -> float:
    """The share of words that two texts have in common, in order; 1 for the same words."""
    return SequenceMatcher(None, words(heard), words(said)).ratio()


def words(text: str) -> list[str]:
    """Lower case, numbers spelled out, nothing but letters."""
    letters = "".join(char if char.isalpha() else " " for char in in_words(text.lower().replace("'", "")))
    return letters.split()


def digit_in(png: bytes) -> int:
    """The digit that a classifier, trained on real handwritten digits, sees in a picture of 8 x 8 squares."""
    image = Image.open(BytesIO(png)).resize((8, 8), Image.Resampling.BOX)
    return int(_classifier().predict(np.asarray(image, np.float64).reshape(1, 64) / 255 * 16)[0])


@cache
def _classifier() -> SVC:
    return SVC(gamma=0.001).fit(*load_digits(return_X_y=True))
