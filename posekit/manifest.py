"""Describe what a run was made with: versions, machine, commit and data, for the manifest beside its results."""

import hashlib
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from posekit import __version__
from posekit.runtime import cores

PACKAGES = ("mindspore", "numpy", "opencv-python", "opencv-python-headless", "pandas", "matplotlib", "papermill")
PACKAGES += ("ipykernel", "onnx", "onnxruntime", "openvino")


def describe(root: Path) -> dict[str, object]:
    """Versions of Python and the packages, the platform, the processors, and the git state of `root`."""
    versions = {"posekit": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cpu_count": len(cores()),
        **git_state(root),
    }


def _processor() -> str:
    """The processor's name, or where the system doesn't tell it, its kind."""
    told = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)", told.read_text(errors="replace"), re.M) if told.is_file() else []
    return names[0] if names else platform.processor()


def git_state(root: Path) -> dict[str, object]:
    """The commit of the working tree at `root`, and whether files differ from it; None where there is none."""
    if not (root / ".git").exists():  # git would take a repository that an environment is in
        return {"git_commit": None, "git_dirty": None}
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain")
    return {"git_commit": commit, "git_dirty": None if changes is None else bool(changes)}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def data_hash(folder: Path) -> str:
    """SHA-256 over every file's relative name and size, and over the label files' bytes (all but pictures).

    Pictures count by name and size only, so that hashing a real data set takes seconds.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = os.fsencode(path.relative_to(folder).as_posix())  # of any bytes
        digest.update(name + f"\0{path.stat().st_size}\0".encode())
        if path.suffix.lower() in (".csv", ".json", ".h5"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
