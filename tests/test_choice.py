"""The run time that is fastest here: measured once, remembered, and measured again for another network or machine."""

from pathlib import Path

import pytest

from posekit.deploy import choice
from posekit.deploy.choice import choose
from posekit.files import read_json
from posekit.inference.run_times import load_predictor
from posekit.inference.run_times.request import Request

TIMES = {("openvino", 2, 1): 4.0, ("openvino", 1, 1): 3.0, ("onnxruntime", 2, 1): 2.0, ("onnxruntime", 1, 1): 5.0}
TIMES |= {("onnxruntime", 2, 4): 7.0, ("onnxruntime", 2, 16): 40.0}  # seconds for all images


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, int | None, int]]:
    """A machine with two cores and without AVX-512, on which each way takes what TIMES says; the ways that it timed."""
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(choice, "cpu_flags", lambda: {"avx2"})
    monkeypatch.setattr(choice, "cores", lambda: [0, 1])
    ways: list[tuple[str, int | None, int]] = []

    def load(request: Request):  # noqa: ANN202
        ways.append((str(request.backend), request.threads, request.batch))
        return load_predictor(request)

    monkeypatch.setattr(choice, "load_predictor", load)
    monkeypatch.setattr(choice, "_seconds", lambda call: (call(), TIMES[ways[-1]])[1])
    return ways


def test_the_fastest_is_chosen_and_remembered(measured: list, tiny_onnx: dict[str, Path], capsys):
    request = Request(tiny_onnx["hrnet"], "cpu", 16)
    chosen = choose(request)
    assert (chosen.backend, chosen.threads, chosen.batch) == ("onnxruntime", 2, 4), "7 / 4 s an image, 2 alone"
    assert set(measured) == set(TIMES) and "measuring" in capsys.readouterr().err
    assert choose(request) == chosen and len(measured) == len(TIMES) and not capsys.readouterr().err
    assert choose(Request(tiny_onnx["hrnet"], "cpu", 1)).batch == 1, "a single picture isn't waited for"
    assert load_predictor(chosen).run_time == "onnxruntime fp32, CPU"


def test_what_it_depends_on(measured: list, tiny_onnx: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    choose(Request(tiny_onnx["hrnet"], "cpu"))
    choose(Request(tiny_onnx["hourglass"], "cpu"))
    monkeypatch.setattr(choice, "cpu_name", lambda: "another")
    choose(Request(tiny_onnx["hrnet"], "cpu"))
    assert len(measured) == 3 * len(TIMES)
    kept = read_json(Path(choice.caches(), "run-times.json"), "")
    assert len(kept) == 3 and all(it["backend"] == "onnxruntime" for it in kept.values())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}'])
def test_a_damaged_memory_is_measured_again(measured: list, tiny_onnx: dict[str, Path], content: str):
    path = Path(choice.caches(), "run-times.json")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert choose(Request(tiny_onnx["hrnet"], "cpu")).backend == "onnxruntime"
    assert any(it["threads"] == 2 for it in read_json(path, "").values() if isinstance(it, dict))


def test_without_a_place_to_remember_it_still_works(measured: list, tiny_onnx: dict[str, Path], tmp_path, capsys):
    (tmp_path / "home").write_text("")
    assert choose(Request(tiny_onnx["hrnet"], "cpu")).backend == "onnxruntime"
    assert "isn't kept" in capsys.readouterr().err


def test_with_avx512_nothing_is_measured(measured: list, tiny_onnx: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(choice, "cpu_flags", lambda: {"avx512f"})
    request = Request(tiny_onnx["hrnet"], "cpu")
    assert choose(request) is request and not measured
