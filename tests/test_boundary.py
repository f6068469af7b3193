"""What the command does with errors, terminals, pipes and paths: one line and an exit code, whatever comes."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from posekit.cli.main import app, main
from posekit.cli.options import take_home_directories
from posekit.errors import InputError, Stopped

ROOT = Path(__file__).parents[1]


def ended(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, error: BaseException) -> tuple[int, str]:
    """The exit code and standard error of a command in which this error comes up."""

    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr("posekit.recipes.get_recipe", fail)
    monkeypatch.setattr(sys, "argv", ["posekit", "recipe", "show", "x"])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code, capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.csv: what; to do"), 2, "a.csv: what; to do"),
        (Stopped("interrupted"), 75, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOTEMPTY, "Directory not empty", "d"), 2, "d: Directory not empty; choose another name, or"),
        (OSError(errno.EMFILE, "Too many open files", "a"), 2, "a: Too many open files; raise the limit on open files"),
        (OSError(errno.ECHILD, "No child processes"), 2, "No child processes\n"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", b"\xe9.csv"), 2, r"\udce9.csv: No such file or"),
        (OSError("a library's words\nin two lines"), 2, "a library's words\n"),
        (OSError(), 2, "OSError\n"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 2, "Connection reset by peer\n"),
        (TimeoutError("timed out"), 2, "timed out\n"),
        (MemoryError("Unable to allocate 32.0 TiB"), 2, "out of memory (Unable to allocate 32.0 TiB); close other pro"),
        (MemoryError(), 2, "out of memory (MemoryError); close"),
        (UnicodeEncodeError("latin-1", "车.jpg", 0, 1, "no"), 2, r"\u8f66.jpg: a name that latin-1, this locale's enc"),
        (UnicodeEncodeError("utf-8", "\udce9.jpg", 0, 1, "no"), 2, r"\udce9.jpg: not a name in UTF-8; rename the file"),
    ],
)
def test_an_error_is_one_line(error: BaseException, code: int, line: str, monkeypatch, capfd):
    found, text = ended(monkeypatch, capfd, error)
    assert found == code and text.startswith(f"posekit: {line}") and text.count("\n") == 1


@pytest.mark.parametrize("bug", [KeyError("x"), TypeError("x"), RuntimeError("x"), ZeroDivisionError()])
def test_a_bug_stays_a_traceback(bug: Exception, monkeypatch: pytest.MonkeyPatch):
    def fail(_: str) -> None:
        raise bug

    monkeypatch.setattr("posekit.recipes.get_recipe", fail)
    monkeypatch.setattr(sys, "argv", ["posekit", "recipe", "show", "x"])
    with pytest.raises(type(bug)):
        main()


# Paths


def parameters(command: Any) -> list[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    found = [(f"{name} {words}", p) for name, each in below.items() for words, p in parameters(each)]
    return found + [(parameter.name, parameter) for parameter in command.params]


def test_every_path_of_every_command_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/jane")
    take_home_directories(command := typer.main.get_command(app))
    context, paths = typer.Context(command), []
    for name, parameter in parameters(command):
        several = parameter.multiple or parameter.nargs == -1
        given = ["~/x", "./~/x"] if several else "~/x"
        if "Path" not in str(parameter.type_descriptor.annotation):
            continue
        paths.append(name)
        found = parameter.process_value(context, given)
        assert found == ([Path("/home/jane/x"), Path("./~/x")] if several else Path("/home/jane/x")), name
        if not several:
            assert parameter.process_value(context, "./~/x") == Path("./~/x"), "a folder of that name"
            assert parameter.required or parameter.process_value(context, None) is None
    options = {name.split()[-1] for name in paths}
    assert {"out", "data", "images", "resume", "config", "pretrained", "boxes", "labels", "pictures"} <= options
    assert len(paths) > 45


def test_a_path_of_nobody_is_one_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture):
    monkeypatch.setattr(sys, "argv", ["posekit", "data", "check", "veri", "~nobody-here/x"])
    with pytest.raises(SystemExit):
        main()
    assert capfd.readouterr().err.startswith("posekit: ~nobody-here/x: no such home directory; ")


# Terminals and pipes


def posekit(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "posekit.cli", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
    )


SETTINGS = [
    {"LC_ALL": "C"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "iso8859-1"},
    {"PYTHONIOENCODING": "cp1252:strict"},
    {"TERM": "dumb", "COLUMNS": "20"},
    {"COLUMNS": "1", "LINES": "1"},
    {"TERM": "", "COLUMNS": "many"},
]


@pytest.mark.slow
@pytest.mark.parametrize("environment", SETTINGS, ids=lambda e: " ".join(f"{k}={v}" for k, v in e.items()))
def test_any_terminal_shows_tables_help_and_errors(environment: dict[str, str], tmp_path: Path):
    done = posekit("recipe", "show", "poseestnet", **environment)
    assert (done.returncode, done.stderr) == (0, b"") and b"input_size" in done.stdout
    done = posekit("train", "--help", **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    done = posekit("score", "veri", str(tmp_path), "--predictions", "我的 é\n.csv", **environment)
    assert done.returncode == 2 and re.fullmatch(rb"posekit: [^\n]*\n", done.stderr)


@pytest.mark.slow
def test_a_locale_that_lacks_a_files_name_is_one_line(tmp_path: Path):
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = "import sys; print(sys.getfilesystemencoding())"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **plain}, capture_output=True, text=True)
    if done.stdout.strip() == "utf-8":
        pytest.skip("file names are in UTF-8 here whatever the locale")
    (tmp_path / "annot").mkdir()
    row = ",".join(["车.jpg", "100", "100", *["1"] * 108])
    (tmp_path / "annot/label_test.csv").write_text(f"{row}\n", encoding="utf-8")
    (tmp_path / "images/image_test").mkdir(parents=True)
    done = posekit("data", "check", "veri", str(tmp_path), **plain)
    assert done.returncode in (0, 2) and b"Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX shells")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("posekit recipe show poseestnet | true", 141),
        ("posekit recipe list | head -n 1 >/dev/null", None),
        ("posekit --help | true", 141),
        ("posekit recipe list >/dev/full", 2),
        ("posekit recipe list >&-", 0),
        ("posekit recipe show nothing 2>&-", 2),
        ("posekit recipe show nothing 2>/dev/full", 2),
        ("exec posekit recipe show nothing 0<&- >&- 2>&-", 2),
    ],
)
def test_pipes_that_close_and_files_that_are_full(line: str, code: int | None):
    """Quiet, or one line; 141 is what shells give for a closed pipe."""
    script = f'posekit() {{ "{sys.executable}" -m posekit.cli "$@"; }}\n{line.replace("exec posekit", "posekit")}'
    script += '\nexit "${PIPESTATUS[0]}"'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode in ((code,) if code is not None else (0, 141))
    assert done.stderr in ("", "posekit: No space left on device; make room, or choose another place\n")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6, 1.5, 3])
def test_ctrl_c_at_any_time_is_one_line(seconds: float, tmp_path: Path):
    """While Python, the command or MindSpore starts, and in a command's own work."""
    command = [sys.executable, "-m", "posekit.cli", "data", "synth", "vehicles", "--out", str(tmp_path / "d")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(2)
    _, text = process.communicate(timeout=60)
    if "posekit: " not in text:  # Python itself was starting
        assert process.returncode in (1, 130, -2) and "in main" not in text
        return
    assert (
        process.returncode in (130, -2) and text.splitlines()[-1] == "posekit: interrupted"
    )  # both are 130 in a shell
    assert "Traceback" not in text and os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    ("ctrl_c", "code", "says"), [(True, 130, "posekit: interrupted\n"), (False, 1, "ImportError: no")]
)
def test_ctrl_c_that_a_library_makes_an_error_of_its_own_of(ctrl_c: bool, code: int, says: str):
    """As NumPy's and OpenCV's modules in C do when they are interrupted while they are imported."""
    script = (
        "import os, sys, time, types\n"
        "import posekit.cli.__main__ as command\n"
        "def run():\n"
        "    try:\n"
        f"        {ctrl_c} and (os.kill(os.getpid(), 2), time.sleep(5))\n"
        "    except KeyboardInterrupt:\n"
        "        pass\n"
        "    raise ImportError('no')\n"
        "sys.modules['posekit.cli.main'] = module = types.ModuleType('main')\n"
        "module.main = run\n"
        "command.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code and says in done.stderr, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows keeps such a folder")
def test_a_current_folder_that_was_removed_is_one_line(tmp_path: Path):
    script = 'mkdir "$1/gone" && cd "$1/gone" && rmdir "$1/gone" && exec "$2" -m posekit.cli data check veri x'
    done = subprocess.run(
        ["bash", "-c", script, "bash", tmp_path, sys.executable],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("posekit: the current folder can't be used (No such file or directory)")
