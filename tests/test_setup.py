"""scripts/setup.sh: finding Python, knowing a finished set-up from an unfinished one, and OpenCV without libGL."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="the scripts are for Linux and macOS")]


def shell(command: str, root: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `command` in bash after sourcing setup.sh of the repository at `root`."""
    line = f'source "{root}/scripts/setup.sh"; {command}'
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env={**os.environ, **environment})


def test_python_311_is_found() -> None:
    done = shell('"$(find_python)" -c "import sys; print(sys.version_info[:2])"')
    assert done.stdout.strip() == "(3, 11)", done.stderr


def test_no_python_311_says_what_to_do(tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    line = f'source "{ROOT}/scripts/setup.sh"; PATH="{tmp_path}"; find_python'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 1 and "install it" in done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with setup.sh whose pip only notes what it was asked."""
    root = tmp_path / "我的 it's (a+b)" / "clone [2]"
    (root / "scripts").mkdir(parents=True)
    (root / "scripts/setup.sh").write_text((ROOT / "scripts/setup.sh").read_text())
    (root / "pyproject.toml").write_text('torch = ["torch==9.8.7"] # again:\n"torch==9.8.7"')
    (root / "scripts/locks").mkdir()
    for name in ("course", "test", "torch-cpu", "torch-cuda"):
        (root / f"scripts/locks/{name}.lock").write_text("one")
    fake = root / "fake-python"
    fake.write_text(
        '#!/bin/bash\ncase "$*" in\n'
        '*"-m venv"*) echo venv >>"$NOTES"; rm -rf "${@: -1}"; mkdir -p "${@: -1}/bin";'
        ' cp "$0" "${@: -1}/bin/python";;\n'
        '*"-m pip"*) last="${@: -1}"; echo "${last/#./$PWD}" >>"$NOTES"; [[ "$*" =~ $FAILS ]] && exit 1;;\nesac; exit 0\n'
    )
    fake.chmod(0o755)
    return root


def set_up(root: Path, what: str, fails: str = "^$", machine: str = "Linux x86_64") -> tuple[int, list[str]]:
    """The exit code of set_up on a `machine`, and what pip was asked for; it fails at what `fails` matches."""
    notes = root / "notes"
    notes.write_text("")
    uname = f"uname() {{ local all=({machine}); [[ $1 == -sm ]] && echo ${{all[*]}} || echo ${{all[0]}}; }}"
    command = f'find_python() {{ echo "{root}/fake-python"; }}; {uname}; set_up {what}'
    done = shell(command, root, NOTES=str(notes), FAILS=fails)
    names = [line.replace(str(root / "scripts/locks"), "LOCKS") for line in notes.read_text().splitlines()]
    return done.returncode, [name.replace(str(root), "ROOT") for name in names]


COURSE = ["LOCKS/course.lock", "ROOT"]
TEST = ["LOCKS/test.lock", "LOCKS/torch-cpu.lock", "ROOT"]


def test_set_up_once_and_again_only_where_needed(clone: Path) -> None:
    assert set_up(clone, "course") == (0, ["venv", *COURSE])
    assert set_up(clone, "course") == (0, [])
    assert set_up(clone, "test") == (0, TEST)
    assert set_up(clone, "course") == set_up(clone, "test") == (0, [])
    for changed in ("pyproject.toml", "scripts/locks/test.lock"):
        (clone / changed).write_text("two")
        assert set_up(clone, "test") == (0, ["venv", *TEST])


def test_tests_take_pytorch_without_cuda(clone: Path) -> None:
    """The usual index's build with CUDA only where PyTorch's own index is out of reach."""
    assert set_up(clone, "test", fails="torch-cpu") == (0, ["venv", *TEST[:2], "LOCKS/torch-cuda.lock", "ROOT"])


@pytest.mark.parametrize("machine", ["Linux aarch64", "Darwin arm64"])
def test_machines_without_lock_files_take_the_versions_of_pyproject(clone: Path, machine: str) -> None:
    assert set_up(clone, "course", machine=machine) == (0, ["venv", "ROOT"])
    first = ["torch==9.8.7"] if machine.startswith("Linux") else []  # without CUDA
    assert set_up(clone, "test", machine=machine) == (0, [*first, "ROOT[test]"])
    assert set_up(clone, "test", machine=machine) == (0, [])


def test_interrupted_set_up_is_made_again(clone: Path) -> None:
    code, notes = set_up(clone, "course", fails="course")
    assert (code != 0, notes) == (True, ["venv", COURSE[0]])
    assert set_up(clone, "course") == (0, ["venv", *COURSE])
    code, _ = set_up(clone, "test", fails="test.lock")
    assert code != 0
    assert set_up(clone, "test") == (0, ["venv", *TEST])


def test_moved_clone_is_set_up_again(clone: Path) -> None:
    set_up(clone, "course")
    moved = clone.rename(clone.with_name("moved"))
    assert set_up(moved, "course") == (0, ["venv", *COURSE])


@pytest.mark.internet
def test_opencv_without_libgl(tmp_path: Path) -> None:
    """A small environment with the real wheels, and a libGL that cannot be loaded."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wheels = [text for text in dependencies if text.startswith(("numpy==", "opencv-python=="))]
    version = next(text.split("==")[1] for text in wheels if text.startswith("opencv"))
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", *wheels], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/libGL.so.1").touch()  # found first, and no library
    hidden = {"LD_LIBRARY_PATH": str(tmp_path / "lib")}
    broken = subprocess.run([python, "-c", "import cv2"], capture_output=True, text=True, env=os.environ | hidden)
    assert "libGL.so.1" in broken.stderr

    done = shell(f'swap_opencv "{python}"', **hidden)
    assert done.returncode == 0, done.stderr
    assert f"opencv-python-headless {version}" in done.stdout
    check = "import cv2, importlib.metadata as m; print(cv2.__version__, m.version('opencv-python-headless'))"
    shown = subprocess.run([python, "-c", check], capture_output=True, text=True, env=os.environ | hidden)
    assert shown.stdout.split() == [version.rsplit(".", 1)[0], version], shown.stderr
    again = shell(f'swap_opencv "{python}"', **hidden)
    assert (again.returncode, again.stdout) == (0, ""), "a working cv2 is left alone"
