from components.smollm import chat_prompt


def test_a_question_alone_is_the_whole_prompt():
    assert chat_prompt("Why?", []) == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"


def test_what_was_seen_comes_before_the_question():
    prompt = chat_prompt("Where to?", ["Gate 12", "Flight to Paris"])
    assert "Context: Gate 12\nFlight to Paris\n\nQuestion: Where to?" in prompt
