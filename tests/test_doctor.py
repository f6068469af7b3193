"""posekit doctor: what it finds here, and what it says when something is wrong."""

import pytest
from rich.console import Console

from posekit.doctor import checks as doctor
from posekit.doctor import diagnose


def measured(**seconds: float):
    """Stands in for the timing processes: seconds of ours, alone (oneDNN untouched), free and beside (OpenVINO)."""

    def measure(program: str, **environment: str) -> dict:
        if "openvino" in program:
            return {"seconds": seconds["beside" if "set_up(" in program else "free"]}
        limited = "left alone: no AVX-512" if "alone" not in seconds else "limited to AVX2"
        return {"seconds": seconds["alone" if environment else "ours"], "onednn": limited}

    return measure


def test_everything_is_right_in_the_environment_that_the_set_up_makes():
    assert [check.detail for check in diagnose.checks() if not check.ok] == []


def test_a_wrong_version_is_named_with_what_was_wanted_and_the_remedy(monkeypatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "2.1.0" if name == "numpy" else real(name))
    packages = next(check for check in diagnose.checks() if check.name == "packages")
    assert not packages.ok
    assert "numpy 2.1.0 (needs 1.26.4)" in packages.detail
    assert "pip install -e ." in packages.remedy


def test_headless_opencv_stands_for_the_other(monkeypatch):
    real = doctor._version
    swapped = {"opencv-python": None, "opencv-python-headless": real("opencv-python") or real("opencv-python-headless")}
    monkeypatch.setattr(doctor, "_version", lambda name: swapped[name] if name in swapped else real(name))
    assert next(check for check in diagnose.checks() if check.name == "packages").ok


@pytest.mark.parametrize(("alone", "ok"), [(18.8, True), (5.0, False)])
def test_with_avx512_hrnet_must_be_thirty_times_faster_than_untouched(monkeypatch, alone, ok):
    monkeypatch.setattr(doctor, "_measure", measured(ours=0.4, alone=alone, free=0.01, beside=0.011))
    convolutions, openvino = doctor.speed_checks()
    assert convolutions.ok == ok and openvino.ok
    assert f"{alone / 0.4:.0f} times faster" in convolutions.detail


def test_a_slowed_openvino_fails(monkeypatch):
    monkeypatch.setattr(doctor, "_measure", measured(ours=0.4, alone=18.8, free=0.01, beside=0.02))
    assert [check.ok for check in doctor.speed_checks()] == [True, False]


def test_without_avx512_only_the_speed_itself_is_judged(monkeypatch):
    monkeypatch.setattr(doctor, "_measure", measured(ours=0.4))
    assert [check.ok for check in doctor.speed_checks()] == [True]


@pytest.mark.slow
def test_openvino_is_really_measured():
    assert 0 < doctor._measure(doctor._OPENVINO.replace("LIMIT", ""))["seconds"] < 5


def test_a_failure_is_shown_with_its_remedy_and_the_exit_code(monkeypatch):
    monkeypatch.setattr(diagnose, "checks", lambda device: iter([doctor.Check("disk", False, "[1] GB", "make room")]))
    monkeypatch.setattr(diagnose, "speed_checks", lambda: iter([]))
    console = Console(record=True, width=100)
    assert diagnose.diagnose(console) == 1
    text = console.export_text()
    assert "[fail]" in text and "[1] GB" in text and "-> make room" in text
