from io import BytesIO

import checks
import numpy as np
import pytest
from components.painter import png
from PIL import Image
from sklearn.datasets import load_digits


def test_the_same_words_are_alike_however_they_are_written():
    assert checks.likeness("What's 7 plus 56.5?", "whats seven plus fifty-six point five") == 1


def test_other_words_make_texts_less_alike():
    assert checks.likeness("the total do is five", "The total due is five.") == pytest.approx(0.8)


def test_a_picture_holds_the_values_that_were_painted():
    image = np.linspace(-1, 1, 64).reshape(8, 8)
    back = np.asarray(Image.open(BytesIO(png(image))).resize((8, 8), Image.Resampling.BOX))
    assert np.abs(back / 127.5 - 1 - image).max() < 0.01


def test_real_digits_are_recognised_in_pictures():
    images, digits = load_digits(return_X_y=True)
    seen = np.array([checks.digit_in(png(image.reshape(8, 8) / 8 - 1)) for image in images[:100]])
    assert (seen == digits[:100]).mean() >= 0.95
