import pytest
from hypothesis import given
from hypothesis import strategies as st

from corntriton.repository import pbtxt

TEXT = """# about the model
name: "a # b {" # not a comment

# why 4
max_batch_size:4
input [ { name: "x" data_type: TYPE_FP32 dims: [ -1 ] } ] output { name: 'y}' data_type: TYPE_FP32 dims: 1 }
version_policy: { latest { num_versions: 1 } }
instance_group [
  { kind: KIND_CPU }  # one
]
# the end
"""


def test_fields_keep_their_comments_and_nothing_is_lost() -> None:
    fields = list(pbtxt.fields(TEXT))
    assert "".join(field.text for field in fields) == TEXT
    assert [field.name for field in fields] == [
        *("name", "max_batch_size", "input", "output", "version_policy", "instance_group", "")
    ]
    assert fields[1].text == "\n# why 4\nmax_batch_size:4\n"
    assert fields[5].text.endswith("# one\n]\n")


def test_each_field_parses_by_itself() -> None:
    whole = pbtxt.empty()
    for field in pbtxt.fields(TEXT):
        whole.MergeFrom(pbtxt.parse(field.text))
    assert whole == pbtxt.parse(TEXT)


@given(st.text(st.characters(codec="utf-8")))
def test_any_string_can_be_quoted(text: str) -> None:
    assert pbtxt.parse(f"name: {pbtxt.quote(text)}").name == text


@pytest.mark.parametrize(
    "text",
    [
        'nam: "x"',
        "max_batch_size: x",
        "instance_group { kind: KIND_TPU }",
        "dynamic_batching {} sequence_batching {}",
    ],
)
def test_what_is_no_model_config_is_refused(text: str) -> None:
    with pytest.raises(pbtxt.ParseError):
        pbtxt.parse(text)


def test_what_is_written_is_read_back() -> None:
    config = pbtxt.parse(TEXT)
    assert pbtxt.parse(pbtxt.written(config)) == config
