from __future__ import annotations

from pathlib import Path

import pytest

from corntriton.errors import UserError
from corntriton.serving.deployment import read_deployment


def test_a_bare_repository_offers_all_its_models(echo_repository: Path) -> None:
    deployment = read_deployment(echo_repository)
    assert deployment.endpoints == ("echo", "spell")
    assert deployment.models == {"echo": "model", "spell": "model"}
    assert deployment.probes == deployment.flags == ()


def test_a_folder_that_is_no_repository_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="corntriton build"):
        read_deployment(tmp_path)
