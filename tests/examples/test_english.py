import pytest
from components.english import Pronunciation, in_words

DICTIONARY = {
    "the": ["DH", "AH"],
    "lazy": ["L", "EY", "Z", "IY"],
    "dog": ["D", "AO", "G"],
    "digit": ["D", "IH", "JH", "AH", "T"],
    "x.": ["EH", "K", "S"],
    "y.": ["W", "AY"],
}


def test_words_become_phonemes_with_the_first_vowel_stressed():
    assert Pronunciation(DICTIONARY).of("The lazy dog.") == "ðə lˈAzi dˈɔɡ."


def test_a_vowel_without_stress_weakens():
    assert Pronunciation(DICTIONARY).of("digit") == "dˈɪʤət"


def test_punctuation_stays_with_the_word_before_it():
    assert Pronunciation(DICTIONARY).of("dog, dog?") == "dˈɔɡ, dˈɔɡ?"


def test_a_word_that_the_dictionary_lacks_is_spelled():
    assert Pronunciation(DICTIONARY).of("Xy!") == "ˈɛks wI!"


def test_text_without_words_has_no_phonemes():
    assert Pronunciation(DICTIONARY).of(" – ") == ""


def test_a_dictionary_is_read_from_lines_of_word_and_sounds(tmp_path):
    file = tmp_path / "cmudict.dict"
    file.write_text("the DH AH\nthe(2) DH IY\n")
    assert Pronunciation.read(file).of("the") == "ðə"


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("0", "zero"),
        ("13", "thirteen"),
        ("40", "forty"),
        ("99", "ninety nine"),
        ("100", "one hundred"),
        ("1234", "one thousand two hundred thirty four"),
        ("1,234", "one thousand two hundred thirty four"),
        ("56.78 eur", "fifty six point seven eight euros"),
        ("1234567", "one two three four five six seven"),
        ("100%", "one hundred per cent"),
        ("$5.20", "five point two zero dollars"),
    ],
)
def test_numbers_and_signs_are_said_in_words(text, spoken):
    assert in_words(text).split() == spoken.split()
