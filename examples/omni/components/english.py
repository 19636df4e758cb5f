"""English text becomes the phonemes that Kokoro was trained on, by the CMU pronouncing dictionary."""

import re
from pathlib import Path

# ARPAbet, as the dictionary has it, in Kokoro's alphabet: IPA, with A I O W Y for the diphthongs.
IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A",
    "IH": "ɪ", "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u", "B": "b", "CH": "ʧ", "D": "d",
    "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ",
    "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j",
    "Z": "z", "ZH": "ʒ",
}  # fmt: skip
REDUCED = {"AH": "ə", "ER": "əɹ"}  # vowels that weaken where no stress lies on them
VOWELS = frozenset(arpabet for arpabet in IPA if arpabet[0] in "AEIOU")

# What the dictionary lacks, and models like to write.
IN_WORDS = {"€": " euros", "eur": " euros", "$": " dollars", "usd": " dollars", "%": " per cent"}

ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


class Pronunciation:
    """Looks words up; spells those that it does not find."""

    def __init__(self, dictionary: dict[str, list[str]]) -> None:
        self._dictionary = dictionary

    @classmethod
    def read(cls, file: Path) -> "Pronunciation":
        """Reads lines such as `house HH AW S`; a word's further readings, `read(2)`, are never looked up."""
        rows = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
        return cls({word: arpabet for word, *arpabet in rows})

    def of(self, text: str) -> str:
        """Phonemes of the words, separated by spaces; . , ! ? stay, for they shape the melody."""
        parts = re.findall(r"[a-z']+|[.,!?]", in_words(text.lower()))
        spoken = "".join(part if part in ".,!?" else f" {self._word(part)}" for part in parts)
        return spoken.strip()

    def _word(self, word: str) -> str:
        found = self._dictionary.get(word) or self._dictionary.get(word.strip("'"))
        if found:
            return phonemes(found)
        return " ".join(self._letter(letter) for letter in word.replace("'", ""))

    def _letter(self, letter: str) -> str:
        return phonemes(self._dictionary.get(f"{letter}.", []))


def phonemes(arpabet: list[str]) -> str:
    """One word. The dictionary marks no stress: the first vowel likely bears it, save in `a`, `the`, `of`."""
    vowels = [i for i, sound in enumerate(arpabet) if sound in VOWELS]
    stressed = vowels[0] if vowels and len(arpabet) > 2 else None
    weak = {**IPA, **REDUCED}
    return "".join(f"ˈ{IPA[sound]}" if i == stressed else weak[sound] for i, sound in enumerate(arpabet))


def in_words(text: str) -> str:
    """`56.78 eur` becomes `fifty six point seven eight euros`."""
    text = re.sub(r"([€$])(\d[\d,.]*)", r"\2\1", text)  # $5 is said as 5$
    text = re.sub(r"[€$%]|\b(?:eur|usd)\b", lambda sign: IN_WORDS[sign[0]], text)
    return re.sub(r"\d[\d,]*(?:\.\d+)?", lambda number: f" {spell(number[0].replace(',', ''))} ", text)


def spell(number: str) -> str:
    """The words of a decimal number; digit by digit after the point, and where there are more than six."""
    whole, _, fraction = number.partition(".")
    words = spell_whole(int(whole)) if len(whole) <= 6 else spell_digits(whole)
    return f"{words} point {spell_digits(fraction)}" if fraction else words


def spell_digits(digits: str) -> str:
    """`78` becomes `seven eight`."""
    return " ".join(ONES[int(digit)] for digit in digits)


def spell_whole(value: int) -> str:
    """The words of a number below a million."""
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = f" {spell_whole(value % size)}" if value % size else ""
            return f"{spell_whole(value // size)} {name}{rest}"
    if value < 20:
        return ONES[value]
    tens = TENS[value // 10 - 2]
    return f"{tens} {ONES[value % 10]}" if value % 10 else tens
