from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TINY = ROOT / "tests" / "e2e" / "models" / "tiny"


def run(*words: str, folder: Path, **environment: str) -> str:
    answer = subprocess.run(
        words, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_a_wheel_installed_outside_the_checkout_builds_and_deploys_a_repository(tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT), folder=tmp_path)
    (wheel,) = tmp_path.glob("corntriton-*.whl")
    site = tmp_path / "site"
    run(*pip, "install", "--no-deps", "--target", str(site), str(wheel), folder=tmp_path)

    where = run(
        sys.executable,
        "-c",
        "import corntriton; print(corntriton.__file__)",
        folder=tmp_path,
        PYTHONPATH=str(site),
    )
    assert Path(where.strip()).is_relative_to(site)
    command = (sys.executable, "-m", "corntriton.cli", "build", str(TINY), "-o", "built")
    run(*command, folder=tmp_path, PYTHONPATH=str(site))
    assert (tmp_path / "built" / "model_repository" / "tiny" / "1" / "model.py").is_file()
    assert (tmp_path / "built" / "manifest.json").is_file()

    run(*command[:-2], "--backends", "ngc", "-o", "for-ngc", folder=tmp_path, PYTHONPATH=str(site))
    deploy = (*command[:3], "deploy", "for-ngc", "--to", "helm", "-o", "deployed")
    run(*deploy, folder=tmp_path, PYTHONPATH=str(site))
    assert (tmp_path / "deployed" / "chart" / "templates" / "deployment.yaml").is_file()
    assert (site / "corntriton" / "_resources" / "tools" / "build_trt_engine.py").is_file()
