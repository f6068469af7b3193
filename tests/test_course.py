"""The course runner, on throw-away lessons in real kernels."""

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import numpy as np
import pytest
from lesson_files import write_lesson

from posekit import shipped
from posekit.course import lessons, results
from posekit.course import run as course
from posekit.course.results import RESULT_MIME, read_results, record
from posekit.errors import InputError
from posekit.files import ROOT, sha256, write_json
from posekit.manifest import data_hash
from posekit.recipes import get_recipe
from posekit.runtime import cores


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three lessons; 04 fails until the file `ready` is there."""
    write_lesson(
        tmp_path,
        "00_start",
        "steps = 3\nshout = False",
        "import os, sys\nfrom posekit.course.results import record",
        "record('python', sys.executable)\nrecord('steps', steps + 1)",
        "open('count.txt', 'a').write('x')\nrecord('folder', os.getcwd())",
    )
    write_lesson(
        tmp_path,
        "04_train",
        "recipe = 'poseestnet'\nruns = 'runs'\ndata = ''",
        "from pathlib import Path\nfrom posekit.course.results import record",
        "assert Path('ready').exists(), 'make the file ready'\nrecord('PCK', 0.875, '%')",
        "record('recipe', recipe)\nrecord('runs', runs)\nrecord('data', data)",
        "Path(runs, recipe).mkdir()\nPath(runs, recipe, 'manifest.json').write_text('{\"device\": \"CPU:0 (auto)\"}')",
    )
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.csv").write_text("1,2\n")
    return tmp_path


def manifest_of(root: Path) -> tuple[Path, dict]:
    (folder,) = (root / "runs").iterdir()
    return folder, json.loads((folder / "manifest.json").read_text())


@pytest.mark.slow
def test_failure_then_resume(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    decoy = root / "home" / "share" / "jupyter" / "kernels" / "python3"  # a user's own kernel must not be taken
    decoy.mkdir(parents=True)
    (decoy / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(root / "home" / "share" / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(course.ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("COLUMNS", "200")
    request = ["steps=7", f"data={root / 'labels'}", "recipe=poseestnet-smoke"]

    assert course.run("smoke", parameters=request, root=root) == 1
    printed = capsys.readouterr().out
    for text in ("04_train-poseestnet-smoke failed", "In [4]", "AssertionError: make the file ready", "--resume"):
        assert text in printed
    folder, manifest = manifest_of(root)
    done, failed = manifest["lessons"]
    assert (done["status"], failed["status"]) == ("done", "failed")
    assert (failed["error"]["cell"], failed["error"]["message"]) == (4, "AssertionError: make the file ready")
    assert done["results"] == [
        {"name": "python", "value": sys.executable, "unit": ""},
        {"name": "steps", "value": 8, "unit": ""},
        {"name": "folder", "value": str(root), "unit": ""},
    ]
    assert (manifest["scale"], manifest["parameters"]["steps"], manifest["cpu_count"]) == ("smoke", "7", len(cores()))
    assert manifest["versions"]["numpy"] == np.__version__
    assert list(manifest["data"]) == [str(root / "labels")]
    assert done["seconds"] > 0
    partial = nbformat.read(folder / "04_train-poseestnet-smoke.ipynb", as_version=4)
    assert any(output.output_type == "error" for cell in partial.cells for output in cell.get("outputs", []))
    assert "Executing Cell" in (folder / "00_start.log").read_text()

    with pytest.raises(InputError, match="own scale"):
        course.run("laptop", resume=folder, root=root)
    (root / "ready").touch()
    assert course.run(resume=folder.relative_to(root), root=root) == 0
    printed = capsys.readouterr().out
    assert "PCK = 0.875 %" in printed and "report.html" in printed
    _, manifest = manifest_of(root)
    assert [entry["status"] for entry in manifest["lessons"]] == ["done", "done"]
    assert manifest["device"] == "CPU:0 (auto)", "as the training says"
    results = {result["name"]: result["value"] for result in manifest["lessons"][1]["results"]}
    expected_runs = folder.relative_to(root).as_posix()
    assert results == {"PCK": 0.875, "recipe": "poseestnet-smoke", "runs": expected_runs, "data": str(root / "labels")}
    assert (root / "count.txt").read_text() == "x", "a lesson that was done ran again"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parameters": ["colour=red"]}, "unknown parameter colour"),
        ({"parameters": ["steps=many"]}, "takes int"),
        ({"parameters": ["shout=7"]}, "takes bool"),
        ({"parameters": ["steps"]}, "name=value"),
        ({"parameters": ["recipe=posenet"]}, "unknown recipe"),
        ({"scale": "huge"}, "unknown scale 'huge'"),
        ({"only": ["9"]}, "unknown lesson 09"),
        ({"only": ["00"], "parameters": ["recipe=poseestnet"]}, "unknown parameter recipe"),
        ({"parameters": ["data=labels"]}, "choose it with -p recipe=poseestnet-quick or -p recipe=hourglass-quick"),
        ({"parameters": ["data=labels", "recipe=poseestnet-smoke"]}, "data=labels: no such folder; check the path"),
        ({"resume": "runs/none"}, "no course to resume"),
    ],
)
def test_bad_requests_are_refused_before_anything_runs(root: Path, arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        course.run(root=root, **arguments)
    assert not (root / "runs").exists()


def test_no_lessons(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no lessons"):
        course.print_lessons(tmp_path)


def test_plan_runs_line_lessons_once_a_recipe(root: Path) -> None:
    write_lesson(root, "02_build", "recipe = 'poseestnet'")
    write_lesson(root, "03_build", "recipe = 'hourglass'")
    steps = lessons.plan("smoke", [], {}, root, root / "runs" / "x")
    assert [(step.name, step.parameters.get("recipe")) for step in steps] == [
        ("00_start", None),
        ("02_build", "poseestnet-smoke"),
        ("03_build", "hourglass-smoke"),
        ("04_train-poseestnet-smoke", "poseestnet-smoke"),
        ("04_train-hourglass-smoke", "hourglass-smoke"),
    ]
    assert steps[3].parameters == {"recipe": "poseestnet-smoke", "runs": "runs/x"}
    assert [step.name for step in lessons.plan("smoke", ["3", "00_start"], {}, root, root)] == ["00_start", "03_build"]
    one = lessons.plan("smoke", ["00,04"], {"recipe": "poseestnet-tiny"}, root, root / "runs" / "x")
    assert [step.name for step in one] == ["00_start", "04_train-poseestnet-tiny"]


def test_a_chapter_of_several_lessons(root: Path) -> None:
    """--only 06 runs all three, --only 06b that one; each of them runs once a recipe, after its training."""
    for stem in ("06_pck", "06b_published", "06c_errors"):
        write_lesson(root, stem, "recipe = ''")

    def planned(*only: str) -> list[str]:
        return [step.name for step in lessons.plan("smoke", only, {"recipe": "poseestnet-tiny"}, root, root)]

    every = [f"{stem}-poseestnet-tiny" for stem in ("06_pck", "06b_published", "06c_errors")]
    assert [lesson.number for lesson in lessons.list_lessons(root)] == ["00", "04", "06", "06b", "06c"]
    assert planned("06") == planned("6") == every
    assert planned("06b") == planned("6b") == planned("06b_published") == every[1:2]
    assert planned("06_pck") == every[:1], "by its whole name the first alone can be chosen"
    assert planned("06c,00") == ["00_start", every[2]]
    needs = {step.name: step.needs for step in lessons.plan("smoke", [], {}, root, root)}
    assert needs["06c_errors-hourglass-smoke"] == ("04_train-hourglass-smoke",)
    with pytest.raises(InputError, match="unknown lesson 06d"):
        planned("06d")


def test_launchers_are_left_out_where_they_do_not_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lesson(root, "05_launch", "workers = 2")
    for platform, numbers in (("linux", ["00", "04", "05"]), ("darwin", ["00", "04"])):
        monkeypatch.setattr(lessons.sys, "platform", platform)
        request = {"recipe": "poseestnet-tiny"}
        assert [step.lesson.number for step in lessons.plan("smoke", [], request, root, root)] == numbers
        assert [step.name for step in lessons.plan("smoke", ["05"], {}, root, root)] == ["05_launch"]


def test_lessons_are_listed_in_order(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    course.print_lessons(root)
    printed = capsys.readouterr().out
    assert printed.index("00_start") < printed.index("04_train") and "Lesson 00_start" in printed


@pytest.mark.parametrize(("lesson", "read"), [("00", {"veri"}), ("03", {"mpii"}), ("01", {"veri", "mpii"})])
def test_only_what_the_lessons_read_is_drawn(
    lesson: str, read: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posekit.layouts.embedded_data", lambda recipe: tmp_path / recipe.dataset)
    monkeypatch.setattr(course, "data_hash", str)
    assert set(course._data("quick", {}, lessons.plan("quick", [lesson], {}, ROOT, tmp_path))) == read


def test_record_shows_and_attaches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = []
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    record("PCK@0.1", np.float32(0.5))
    record("loss", float("nan"))
    assert shown[0]["text/plain"] == "Result: PCK@0.1 = 0.5"
    assert shown[0][RESULT_MIME] == {"name": "PCK@0.1", "value": 0.5, "unit": ""}
    assert shown[1][RESULT_MIME]["value"] == "nan"  # JSON has no NaN
    assert read_results(tmp_path / "none.ipynb") == []


def test_record_outside_a_notebook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    record("images", 12, "a second")
    assert capsys.readouterr().out == "images = 12 a second\n"


def test_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "ROOT", tmp_path)
    for index, (folder, name) in enumerate([("a/b", "net"), ("a/c", "net"), ("a/d", "other"), ("e", "third")]):
        run = tmp_path / "runs" / folder
        run.mkdir(parents=True)
        (run / "recipe.json").write_text(json.dumps({"name": name}))
        (run / "best.ckpt").touch()
        os.utime(run / "best.ckpt", (1000 - index, 1000 - index))
    (tmp_path / "runs/a/f").mkdir()
    (tmp_path / "runs/a/f/recipe.json").write_text('{"name": "net"}')  # no checkpoint yet
    assert results.newest_run("net", "runs/a") == tmp_path / "runs/a/b"
    assert results.newest_run("third", "runs/a") == tmp_path / "runs/e", "where the folder has none, all runs count"
    with pytest.raises(InputError, match="posekit train missing"):
        results.newest_run("missing", "runs")


def test_a_lesson_gets_a_model_a_run_the_newest_or_what_ships(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/cars.ckpt").write_bytes(b"abc")
    about = {"about": "drawn", "recipe": "poseestnet-photos", "sha256": sha256(tmp_path / "weights/cars.ckpt")}
    write_json(tmp_path / "weights/weights.json", {"cars": about})
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(results, "embedded_data", lambda recipe: Path("drawn for", recipe.name))
    ships = tmp_path / "weights/cars.ckpt", tmp_path / "runs/x/cars", Path("drawn for/poseestnet-smoke")
    assert results.trained_network("poseestnet-smoke", runs="runs/x") == ships
    assert "cars (drawn), which ships with posekit" in capsys.readouterr().out
    with pytest.raises(InputError, match="posekit train hourglass-smoke"):
        results.trained_network("hourglass-smoke")
    run = tmp_path / "runs/a"
    run.mkdir(parents=True)
    (run / "recipe.json").write_text('{"name": "poseestnet-smoke"}')
    (run / "best.ckpt").touch()
    assert results.trained_network("poseestnet-smoke") == (run / "best.ckpt", run, None)
    assert "network = best.ckpt of a" in capsys.readouterr().out
    other = tmp_path / "runs/b"
    assert results.trained_network("poseestnet-smoke", "mine", run="runs/b") == (
        other / "best.ckpt", other, tmp_path / "mine"
    )  # fmt: skip
    assert results.trained_network("poseestnet-smoke", "", "cars", runs="runs/x") == ships
    assert results.trained_network("poseestnet-smoke", "", "c/n.onnx") == (tmp_path / "c/n.onnx", tmp_path / "c", None)


def test_the_quick_scale_looks_at_what_ships(tmp_path: Path, monkeypatch) -> None:
    """So its lessons 06 to 08 needn't wait for a training; a recipe, a run or data that somebody names is taken."""
    trained = "recipe = 'poseestnet-smoke'\nruns = ''"
    write_lesson(tmp_path, "04_train", trained + "\nrun = ''")
    for stem in ("06_evaluate", "08_reid"):
        write_lesson(tmp_path, stem, trained + "\nrun = ''\nmodel = ''")
    write_lesson(tmp_path, "09_own", trained)
    monkeypatch.setattr(lessons, "shipped_for", lambda recipe: f"ships-{recipe.split('-')[0]}")

    def models(scale: str, **parameters: str) -> dict[str, object]:
        steps = lessons.plan(scale, [], parameters, tmp_path, tmp_path / "runs/x")
        return {step.name: step.parameters.get("model") for step in steps if "model" in step.lesson.parameters}

    assert models("quick") == {
        "06_evaluate-poseestnet-quick": "ships-poseestnet",
        "06_evaluate-hourglass-quick": "ships-hourglass",
        "08_reid": "ships-poseestnet",
    }
    assert set(models("smoke").values()) == {None}
    assert set(models("quick", recipe="poseestnet-tiny").values()) == {None}
    assert set(models("quick", run="mine").values()) == {None} and set(models("quick", model="m").values()) == {"m"}
    steps = {step.name: step.needs for step in lessons.plan("quick", [], {}, tmp_path, tmp_path / "runs/x")}
    assert steps["06_evaluate-poseestnet-quick"] == steps["08_reid"] == ()
    assert steps["09_own"] == ("04_train-poseestnet-quick",)


def test_a_course_without_scale_is_quick(root: Path) -> None:
    assert lessons.USUAL == "quick" and list(lessons.SCALES) == ["quick", "smoke", "laptop", "full"]
    for recipes in lessons.SCALES.values():
        assert [get_recipe(name).network for name in recipes] == ["hrnet", "hourglass"]


@pytest.mark.parametrize("number", [20251125, 7, -3, 1.5, True])
def test_a_parameter_that_papermill_made_a_number_is_a_name(number: object, tmp_path: Path, monkeypatch) -> None:
    """As `-p run 20251125` does."""
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path))
    assert results.resolve(number) == tmp_path / str(number)
    run = tmp_path / str(number) / "a"
    run.mkdir(parents=True)
    (run / "recipe.json").write_text('{"name": "net"}')
    (run / "best.ckpt").touch()
    assert results.newest_run("net", number) == run
    assert results.resolve("") is None and results.resolve(None) is None


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def path_parameters() -> list[tuple[Path, str]]:
    """Of all lessons: those that name a file or a folder."""
    named = re.compile(r"(.*_)?(data|run|runs|folder|image_folder|out|path|file|checkpoint|model)")
    found = [(lesson.path, name) for lesson in lessons.list_lessons() for name in lesson.parameters]
    return [(path, name) for path, name in found if named.fullmatch(name)]


@pytest.mark.parametrize(
    ("path", "name"), path_parameters(), ids=lambda v: v.stem.split("_")[0] if isinstance(v, Path) else v
)
def test_lessons_take_every_path_by_resolve_or_newest_run(path: Path, name: str) -> None:
    """So that numbers, ~ and folders that are relative to the right place work in each."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code" and "solution" not in tags(cell)]
    uses = 0
    for cell in code:
        source = "".join(line for line in cell["source"] if not line.startswith("%"))
        tree = ast.parse(source)
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        by = [
            node
            for call in calls
            if call.func.id in ("resolve", "newest_run", "trained_network", "bool")
            for node in call.args
        ]
        here = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
        loads = [node for node in here if isinstance(node.ctx, ast.Load)]
        if any(isinstance(node.ctx, ast.Store) for node in here) and "parameters" not in tags(cell):
            break  # from here on the name is something else
        assert all(node in by for node in loads), source
        uses += len(loads)
    assert uses, f"{name} is not used"


def test_home_directories_in_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert results.resolve("~/veri x") == tmp_path / "veri x"
    with pytest.raises(InputError, match="no such home directory"):
        results.resolve("~nobody-here/x")


def test_a_read_only_clones_own_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "ROOT", tmp_path / "clone")
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path / "mine"))
    assert results.resolve("data/veri") == tmp_path / "mine/data/veri"
    (tmp_path / "clone/data/veri").mkdir(parents=True)
    assert results.resolve("data/veri") == tmp_path / "clone/data/veri"
    (tmp_path / "mine/data/veri").mkdir(parents=True)
    assert results.resolve("data/veri") == tmp_path / "mine/data/veri"


def test_two_courses_that_begin_in_the_same_second(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course.time, "sleep", lambda _: None)
    monkeypatch.setattr(course, "datetime", Times())
    folders = [course._new(root, "smoke", ["00"], {})[0] for _ in range(2)]
    assert [folder.name for folder in folders] == ["20260101-000000-smoke", "20260101-000001-smoke"]


class Times:
    """A clock that says the first second three times."""

    asked = 0

    def now(self) -> datetime:
        self.asked += 1
        return datetime(2026, 1, 1, second=0 if self.asked < 4 else 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1", "TERM": "dumb"}]
)
def test_a_course_on_any_terminal_in_any_folder(environment: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "我的 文件" / "(a+b) it's [1]"
    write_lesson(root, "00_start", "x = 1", "from posekit.course.results import record\nrecord('车 …', 1)")
    command = [sys.executable, "-m", "posekit.cli", "course", "run"]
    done = subprocess.run(
        command, env={**os.environ, "POSEKIT_ROOT": str(root), **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (root / "runs").iterdir()
    assert {"report.html", "manifest.json", "00_start.ipynb", "00_start.log"} <= set(os.listdir(folder))
    assert "00_start: \\u8f66" in done.stdout


def test_resolve_is_from_the_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert results.resolve("runs") == results.ROOT / "runs"
    assert results.resolve(tmp_path) == tmp_path


def test_data_hash_sees_labels_names_and_sizes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1")
    (tmp_path / "b.jpg").write_bytes(b"22")
    assert data_hash(tmp_path) == hashlib.sha256(b"a.csv\x001\x001b.jpg\x002\x00").hexdigest()
    before = data_hash(tmp_path)
    (tmp_path / "a.csv").write_bytes(b"2")
    assert data_hash(tmp_path) != before
