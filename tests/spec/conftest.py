from pathlib import Path as File

import pytest


@pytest.fixture
def sample(tmp_path: File) -> File:
    """A valid model's folder, to be spoiled."""
    import shutil

    return File(shutil.copytree(File(__file__).parent / "sample", tmp_path / "sample"))
