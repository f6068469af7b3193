"""Leeds Sports Pose in the MPII layout, against its definition and against labels that others converted."""

import os
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import CliRunner

from posekit.cli.main import app
from posekit.errors import InputError
from posekit.layouts import lsp
from posekit.layouts.mpii import MPII
from posekit.skeletons import PERSON

# The README of LSP Extended, in its order.
ORDER = (
    "right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle", "right wrist", "right elbow",
    "right shoulder", "left shoulder", "left elbow", "left wrist", "neck", "head top",
)  # fmt: skip
PHOTOS = os.environ.get("POSEKIT_PHOTOS", "")


def make(folder: Path, people: int, extended: bool, seed: int = 0) -> np.ndarray:
    """A data set as published, of pictures that differ; returns its joints (people, 14, 3)."""
    rng = np.random.default_rng(seed)
    joints = np.concatenate([rng.uniform(5, 95, (people, 14, 2)), rng.random((people, 14, 1)) < 0.8], axis=2)
    if not extended:
        joints[..., 2] = 1 - joints[..., 2]
    (folder / "images").mkdir(parents=True)
    savemat(folder / "joints.mat", {"joints": joints.transpose((1, 2, 0) if extended else (2, 1, 0))})
    for number in range(1, people + 1):
        picture = rng.integers(0, 255, (100, 100, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"im{number:0{5 if extended else 4}d}.jpg"), picture)
    return joints


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsp, "TESTED", 2)


def test_every_joint_goes_to_its_name(tmp_path: Path) -> None:
    """By the names of both orders; a joint that isn't labelled is missing, one that is hidden is there and not seen."""
    one, more = make(tmp_path / "lsp", 5, False), make(tmp_path / "lspet", 4, True, 1)
    said = lsp.prepare_lsp(tmp_path / "out", tmp_path / "lsp", tmp_path / "lspet")
    assert said == ["7 people train, 2 test"] and not MPII.check(tmp_path / "out").errors
    train, test = MPII.labels(tmp_path / "out", "train"), MPII.labels(tmp_path / "out", "test")
    assert test.images == ["im0004.jpg", "im0005.jpg"]
    assert train.images == [f"im000{n}.jpg" for n in (1, 2, 3)] + [f"im0000{n}.jpg" for n in (1, 2, 3, 4)]
    names = [name.replace("_", " ").replace("upper ", "") for name in PERSON.keypoints]
    for k, name in enumerate(ORDER):
        at, seen = train.keypoints[:, names.index(name)], train.seen[:, names.index(name)]
        np.testing.assert_allclose(at[:3], one[:3, k, :2])
        np.testing.assert_allclose(at[3:], more[:, k, :2] * more[:, k, 2:])
        assert (seen[:3] == (one[:3, k, 2] == 0)).all() and (seen[3:] == (more[:, k, 2] == 1)).all()
    hips = one[:3, [2, 3], :2].mean(1)
    np.testing.assert_allclose(train.keypoints[:3, names.index("pelvis")], hips)


def test_a_tested_picture_does_not_train(tmp_path: Path) -> None:
    make(tmp_path / "lsp", 4, False)
    make(tmp_path / "lspet", 3, True, 1)
    (tmp_path / "lspet/images/im00002.jpg").write_bytes((tmp_path / "lsp/images/im0004.jpg").read_bytes())
    said = lsp.prepare_lsp(tmp_path / "out", tmp_path / "lsp", tmp_path / "lspet")
    assert said[1].startswith("1 pictures are left out")
    assert "im00002.jpg" not in MPII.labels(tmp_path / "out", "train").images


def test_the_extension_alone_is_divided(tmp_path: Path) -> None:
    make(tmp_path / "lspet", 5, True)
    call = ["data", "prepare-lsp", "--extended", str(tmp_path / "lspet"), "--out", str(tmp_path / "out")]
    for _ in range(2):  # a second run continues
        result = CliRunner().invoke(app, call)
        assert result.exit_code == 0 and "3 people train, 2 test" in result.output
    assert MPII.labels(tmp_path / "out", "test").images == ["im00004.jpg", "im00005.jpg"]


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "lspet", 3, True)
    with pytest.raises(InputError, match="no data set given; give --lsp"):
        lsp.prepare_lsp(tmp_path / "out", None, None)
    with pytest.raises(InputError, match=r"not LSP's labels \(its joints are 14 x 3 x 3\)"):
        lsp.prepare_lsp(tmp_path / "out", tmp_path / "lspet", None)
    (tmp_path / "lspet/images/im00003.jpg").unlink()
    with pytest.raises(InputError, match="1 of 3 images are missing, the first is im00003.jpg"):
        lsp.prepare_lsp(tmp_path / "out", None, tmp_path / "lspet")
    with pytest.raises(InputError, match="looked for joints.mat, found images/"):
        (tmp_path / "lspet/joints.mat").unlink()
        lsp.prepare_lsp(tmp_path / "out", None, tmp_path / "lspet")
    assert not (tmp_path / "out" / "annot").exists()


@pytest.mark.skipif(not PHOTOS, reason="no photographs (POSEKIT_PHOTOS)")
def test_real_people_get_the_labels_that_others_made(tmp_path: Path) -> None:
    """The published joints of 2,000 people, brought back from MPII's order; 99 of 100 boxes are the same."""
    with h5py.File(Path(PHOTOS) / "lspet_upright/annot/train.h5") as file:
        part, center, scale = file["part"][:], file["center"][:], file["scale"][:]
    made, side = lsp.boxes(part)
    same = np.isclose(made, center).all(1) & np.isclose(side / 200, scale)
    assert same.mean() > 0.98
    both = (part[:, [2, 3]] != 0).any(2).all(1)
    np.testing.assert_allclose(part[both, 6], part[both][:, [2, 3]].mean(1))
