import torch
from components.decoding import greedy

STOP = 9


def counting(calls):
    """A model that always finds the next number likeliest; its cache is how many tokens it has seen."""

    def step(ids, cache):
        calls.append(ids[0].tolist())
        return torch.nn.functional.one_hot(ids[0, -1] + 1, STOP + 1), (cache or 0) + ids.shape[1]

    return step


def test_decoding_goes_on_until_the_stop_token():
    assert list(greedy(counting([]), [1, 5], STOP, max_new_tokens=100)) == [6, 7, 8]


def test_decoding_ends_at_the_most_tokens_allowed():
    assert list(greedy(counting([]), [1], STOP, max_new_tokens=2)) == [2, 3]


def test_the_prompt_goes_in_once_and_then_each_new_token():
    calls = []
    list(greedy(counting(calls), [1, 5], STOP, max_new_tokens=3))
    assert calls == [[1, 5], [6], [7]]


def test_nothing_is_computed_ahead_of_the_caller():
    calls = []
    tokens = greedy(counting(calls), [1], STOP, max_new_tokens=100)
    next(tokens)
    assert len(calls) == 1
