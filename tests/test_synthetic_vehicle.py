"""Drawn vehicles against the published layout, the real labels and plain geometry."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from posekit import layouts
from posekit.errors import InputError
from posekit.layouts.veri import VERI
from posekit.skeletons import VEHICLE
from posekit.synthetic import vehicle as vehicle_module
from posekit.synthetic.mesh import Pose
from posekit.synthetic.scene import draw_light, look_at
from posekit.synthetic.street import paint_vehicle
from posekit.synthetic.vehicle import draw_camera, draw_image, draw_vehicle
from posekit.synthetic.vehicle_mesh import self_hidden
from posekit.synthetic.vehicle_shapes import BODY_TYPES, draw_body

TRAIN, TEST = 12, 5


def read_labels(path: Path) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Names, sizes (N, 2), keypoints (N, 36, 2), visible (N, 36): a reader of the published format, written anew."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    cells = np.array([[int(c) for c in row[1:]] for row in rows])
    points = cells[:, 2:].reshape(-1, 36, 3)
    return [row[0] for row in rows], cells[:, :2], points[..., :2].astype(float), points[..., 2]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vehicles") / "set"
    VERI.draw(out, TRAIN, TEST, seed=5, workers=1)
    return out


@pytest.fixture(scope="module")
def geometry() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes, keypoints and self-visibility of many cameras and vehicles, without painting."""
    sizes, keypoints, visible = [], [], []
    for index in range(400):
        rng = np.random.default_rng(index)
        body = draw_body(rng)
        camera, pose = draw_camera(rng, body)
        sizes.append(camera.size)
        keypoints.append(camera.project(pose.place(body.keypoints)))
        visible.append(~self_hidden(body, pose.bring_back(camera.position)))
    return np.array(sizes), np.array(keypoints), np.array(visible)


def annotations() -> Path:
    folder = os.environ.get("POSEKIT_ANNOTATIONS")
    if not folder:
        pytest.skip("POSEKIT_ANNOTATIONS is not set")
    return Path(folder)


def affine_residuals(keypoints: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Each image's mean distance to the best affine view of `shape` (36, 3), by the root of its keypoint box's area."""
    known = np.column_stack([shape, np.ones(len(shape))])
    residuals = []
    for points in keypoints:
        fitted = known @ np.linalg.lstsq(known, points, rcond=None)[0]
        residuals.append(np.linalg.norm(points - fitted, axis=1).mean() / np.sqrt(np.prod(np.ptp(points, axis=0))))
    return np.array(residuals)


def test_layout_and_label_format(drawn: Path):
    assert sorted(p.name for p in drawn.iterdir()) == ["annot", "drawn.json", "images"]
    for split, count in (("train", TRAIN), ("test", TEST)):
        names, sizes, keypoints, visible = read_labels(drawn / "annot" / f"label_{split}.csv")
        assert len(names) == count and names == sorted(names)
        assert set(np.unique(visible)) == {0, 1}
        assert (keypoints >= 0).all() and (keypoints < sizes[:, None]).all()
        assert {p.name for p in (drawn / "images" / f"image_{split}").iterdir()} == set(names)
        for name, (width, height) in zip(names, sizes, strict=True):
            image = cv2.imread(str(drawn / "images" / f"image_{split}" / name))
            assert image.shape == (height, width, 3)


def test_names_are_like_those_of_veri_and_identities_do_not_cross(drawn: Path):
    identities = []
    for split in ("train", "test"):
        names = read_labels(drawn / "annot" / f"label_{split}.csv")[0]
        parts = [Path(name).stem.split("_") for name in names]
        assert all(len(p) == 4 and len(p[0]) == 4 and p[1][0] == "c" and len(p[2]) == 8 for p in parts)
        identities.append({p[0] for p in parts})
    assert not identities[0] & identities[1]
    assert len(identities[0]) < TRAIN  # several views of each


@pytest.mark.slow
def test_the_same_bytes_from_any_number_of_processes(drawn: Path, tmp_path: Path):
    script = (
        "from pathlib import Path; from posekit.layouts.veri import VERI\n"
        f"if __name__ == '__main__': VERI.draw(Path('again'), {TRAIN}, {TEST}, seed=5, workers=2)"
    )
    (tmp_path / "draw.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(vehicle_module.__file__).parents[2])}
    subprocess.run([sys.executable, "draw.py"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    files = [p.relative_to(drawn) for p in sorted(drawn.rglob("*.*")) if p.is_file() and p.name != "drawn.json"]
    assert len(files) == TRAIN + TEST + 2
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (drawn / file).read_bytes(), file


def test_another_seed_draws_another_picture():
    assert draw_image(5, "train", 0).data != draw_image(6, "train", 0).data
    assert draw_image(5, "train", 0).data != draw_image(5, "test", 0).data


def test_nothing_is_left_when_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(vehicle_module, "_write_image", stop)
    with pytest.raises(KeyboardInterrupt):
        VERI.draw(tmp_path / "set", 2, 1, seed=0, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_is_not_overwritten(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="exists already; name a new folder"):
        VERI.draw(tmp_path, 1, 1, seed=0)
    with pytest.raises(InputError, match="--train -1"):
        VERI.draw(tmp_path / "new", -1, 1, seed=0)


def test_two_who_ask_at_once_get_the_same_whole_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layouts, "ROOT", tmp_path / "repository")
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path))
    monkeypatch.setitem(layouts.LAYOUTS, "veri", replace(VERI, draw=partial(VERI.draw, workers=1)))
    recipe = SimpleNamespace(dataset="veri", synthetic_train=2, synthetic_test=1, drawing="plain")
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(layouts.embedded_data, [recipe, recipe]))
    assert found == [tmp_path / "data" / "vehicles-2-1-s0"] * 2
    assert list((tmp_path / "data").iterdir()) == found[:1]  # the loser's copy is gone
    assert len(read_labels(found[0] / "annot" / "label_train.csv")[0]) == 2


def test_fits_the_mean_shape_as_the_real_labels_do(geometry: tuple):
    folder = annotations()
    shape = np.loadtxt(folder / "veri36_mean_shape.csv", delimiter=",")[:, 1:]
    real = np.median(affine_residuals(read_labels(folder / "veri_label_test.csv")[2], shape))
    assert real == pytest.approx(0.034, abs=0.001)  # the published figure for these labels
    assert np.median(affine_residuals(geometry[1], shape)) == pytest.approx(real, abs=0.005)


def test_as_many_keypoints_show_as_in_the_real_labels(geometry: tuple):
    names, _, _, visible = read_labels(annotations() / "veri_label_test.csv")
    real, ours = visible.sum(1), geometry[2].sum(1)
    assert real.mean() == pytest.approx(24.2, abs=0.1)
    assert abs(ours.mean() - real.mean()) < 1
    assert ours.std() < 2 * real.std()


def test_sizes_are_spread_like_those_of_veri(geometry: tuple):
    width, height = np.percentile(geometry[0], (5, 95), axis=0).T
    np.testing.assert_allclose(width, (110, 422), rtol=0.2)
    np.testing.assert_allclose(height, (92, 323), rtol=0.2)


@pytest.mark.parametrize("kind", [t.name for t in BODY_TYPES])
def test_left_is_left(kind: str):
    """Someone who looks along the vehicle has its left on their left; someone who meets it, on their right."""
    body = draw_body(np.random.default_rng(3), kind)
    for x, sign in ((-30.0, -1), (30.0, 1)):
        camera = look_at(np.array((x, 0.0, 6.0)), np.array((0.0, 0.0, 1.0)), 0.0, 800.0, (640, 480))
        points = camera.project(Pose(0, 0, 0).place(body.keypoints))
        assert ((points[:18, 0] - points[18:, 0]) * sign > 0).all()
        assert points[0, 1] > points[13, 1]  # wheels below the roof
        assert (points[1, 1] > points[0, 1]) == (x > 0)  # the nearer axle is lower in the picture
    assert all(VEHICLE.keypoints[i].startswith("left") == (body.keypoints[i, 1] > 0) for i in range(36))


@pytest.mark.parametrize("kind", [t.name for t in BODY_TYPES])
def test_the_body_hides_its_far_side(kind: str):
    body = draw_body(np.random.default_rng(4), kind)
    far = 3.0 * body.size[0]
    from_left = self_hidden(body, np.array((0.0, far, 5.0)))
    assert not from_left[:10].any() and from_left[18:28].all()
    from_right = self_hidden(body, np.array((0.0, -far, 5.0)))
    np.testing.assert_array_equal(from_right, np.roll(from_left, 18))
    from_front = self_hidden(body, np.array((far, 0.0, 6.0)))
    assert not from_front[[14, 15, 16, 17, 32, 33, 34, 35]].any() and from_front[[10, 28]].all()
    from_back = self_hidden(body, np.array((-far, 0.0, 6.0)))
    assert not from_back[[10, 11, 12, 13, 28, 29, 30, 31]].any() and from_back[[17, 35]].all()


def test_wheels_are_drawn_where_the_labels_say():
    """The tyre around a visible wheel is darker than the rim in its middle, in most pictures."""
    darker = []
    for index in range(0, 112, 8):
        picture = draw_image(7, "train", index)
        grey = picture.image.mean(2)
        for first in (0, 18):
            for wheel, front_end, rear_end in ((1, 2, 5), (0, 6, 9)):
                middle, *ends = picture.keypoints[[first + wheel, first + front_end, first + rear_end]]
                wide = np.linalg.norm(ends[0] - ends[1]) > 25
                if wide and picture.visible[[first + wheel, first + front_end, first + rear_end]].all():
                    tyre = [middle + 0.68 * (end - middle) for end in ends]  # between the rim and the arch
                    rim, *around = (grey[tuple(np.round(p).astype(int)[::-1])] for p in (middle, *tyre))
                    darker.append(np.mean(around) < rim)
    assert len(darker) >= 8
    assert np.mean(darker) > 0.8


def test_keypoints_lie_on_the_drawn_vehicle():
    """Every keypoint is within the silhouette that is painted, and the silhouette within the picture."""
    for identity in range(6):
        vehicle = draw_vehicle(2, 0, identity)
        camera, pose = draw_camera(np.random.default_rng(identity), vehicle.body)
        canvas = np.zeros((*camera.size[::-1], 3), np.uint8)
        mask = np.zeros(camera.size[::-1], np.uint8)
        paint_vehicle(canvas, camera, draw_light(np.random.default_rng(0)), vehicle, pose, mask)
        near = cv2.dilate(mask, np.ones((5, 5), np.uint8))
        points = np.round(camera.project(pose.place(vehicle.body.keypoints))).astype(int)
        assert (near[points[:, 1], points[:, 0]] == 255).all()
        assert mask.mean() / 255 > 0.3
        box = np.ptp(points, axis=0)
        x, y, width, height = cv2.boundingRect(mask)
        assert (np.array((width, height)) < 1.35 * box + 4).all()  # mirrors, wheels and bumpers stand out a little
