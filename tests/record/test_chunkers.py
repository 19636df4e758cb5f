from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corntriton.record.chunkers import parse_chunker

SENTENCES = {
    "two": ("One is here. Two is there.", ["One is here.", " Two is there."]),
    "no end": ("no end at all", ["no end at all"]),
    "marks": ("Really?! Yes… Go!", ["Really?!", " Yes…", " Go!"]),
    "quotes": ('"Stop." he said. (Twice.) End', ['"Stop."', " he said.", " (Twice.)", " End"]),
    "numbers": ("Pi is 3.14 or so. Fine.", ["Pi is 3.14 or so.", " Fine."]),
    "abbreviations": (
        "Dr. Who met Mrs. Smith, e.g. here. End.",
        ["Dr. Who met Mrs. Smith, e.g. here.", " End."],
    ),
    "paragraphs": ("A title\n\nThe text\ngoes on", ["A title", "\n\nThe text\ngoes on"]),
    "no white space": ("你好。「再见。」好", ["你好。", "「再见。」", "好"]),
    "nothing": ("", []),
    "white space": (" \n ", []),
    "white space at the end": ("Done.  \n", ["Done."]),
}


@pytest.mark.parametrize(("text", "sentences"), SENTENCES.values(), ids=SENTENCES.keys())
def test_text_is_cut_into_sentences(text, sentences):
    chunker = parse_chunker("sentence").start()
    assert [*chunker.feed(text), *chunker.flush()] == sentences


def test_a_sentence_leaves_as_soon_as_its_end_is_certain():
    chunker = parse_chunker("sentence").start()
    assert chunker.feed("Hello there.") == []
    assert chunker.feed(" How") == ["Hello there."]
    assert chunker.feed(" are you?\n") == [" How are you?"]
    assert chunker.flush() == []


def test_text_is_cut_by_words():
    chunker = parse_chunker("tokens:2").start()
    assert chunker.feed("one two  three") == ["one two"]
    assert chunker.feed("-ish four") == []
    assert chunker.flush() == ["  three-ish four"]


def test_bytes_may_end_inside_a_character():
    chunker = parse_chunker("sentence").start()
    data = "Ça va. Où?".encode()
    pieces = [chunk for at in range(len(data)) for chunk in chunker.feed(data[at : at + 1])]
    assert [*pieces, *chunker.flush()] == ["Ça va.", " Où?"]


@pytest.mark.parametrize(
    "by", ["words", "tokens", "tokens:", "tokens:0", "tokens:-1", "samples:a", "sentence:2", 3]
)
def test_an_unknown_chunker_is_refused(by):
    with pytest.raises(ValueError, match="there is no chunker"):
        parse_chunker(by)


text = st.text(alphabet="ab .!?\n\"')。」é", max_size=40) | st.text(max_size=20)
cuts = st.lists(st.integers(0, 40), max_size=6)


def fed(by, pieces):
    chunker = parse_chunker(by).start()
    return [chunk for piece in pieces for chunk in chunker.feed(piece)] + chunker.flush()


def cut_at(value, places):
    edges = [0, *sorted(min(place, len(value)) for place in places), len(value)]
    return [value[start:end] for start, end in pairwise(edges)]


@given(st.sampled_from(["sentence", "tokens:1", "tokens:3"]), text, cuts)
def test_where_text_is_cut_does_not_depend_on_the_pieces_it_came_in(by, value, places):
    assert fed(by, cut_at(value, places)) == fed(by, [value])
    data = value.encode()
    assert fed(by, cut_at(data, places)) == fed(by, [value])


@given(st.sampled_from(["sentence", "tokens:1", "tokens:3"]), text)
def test_the_chunks_of_a_text_put_together_are_the_text(by, value):
    assert "".join(fed(by, [value])) == value.rstrip()


@given(st.integers(1, 5), st.integers(0, 30), cuts)
def test_where_an_array_is_cut_does_not_depend_on_the_pieces_it_came_in(size, length, places):
    value = np.arange(2 * length).reshape(length, 2)
    chunks = fed(f"samples:{size}", cut_at(value, places))
    assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert np.array_equal(np.concatenate([value[:0], *chunks]), value)
