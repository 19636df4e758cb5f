from pathlib import Path

import pytest

from corntriton.errors import UserError
from corntriton.repository.templates import Templates


def test_a_template_of_the_users_wins_and_may_use_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.config.pbtxt.j2").write_text(
        '{% from "tensors.pbtxt.j2" import side %}# mine\nname: {{ name | quote }}\n{{ side("input", []) }}'
    )
    text = Templates(tmp_path).render("orchestrator.config.pbtxt.j2", {"name": 'a"b'})
    assert text == '# mine\nname: "a\\"b"\ninput [\n]\n'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("\n\n{% if %}", "is no template"),
        ("\n\n{{ nam }}", "'nam' is undefined"),
        ("\n\n{{ 1 / 0 }}", "division by zero"),
        ("\n\n{{ name | nofilter }}", "nofilter"),
    ],
)
def test_a_wrong_template_is_reported_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "ready.config.pbtxt.j2"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        Templates(tmp_path).render(file.name, {"name": "x"})
    [problem] = caught.value.problems
    assert (problem.file, problem.path) == (str(file), "line 3")
    assert what in problem.what


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        Templates(tmp_path / "absent")
