"""Drawn people against the published layout, the real labels, anatomy and plain geometry."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from posekit.errors import InputError
from posekit.layouts.mpii import MPII
from posekit.skeletons import PERSON
from posekit.synthetic import person as person_module
from posekit.synthetic.person import Row, count_images, count_people, draw_image, label
from posekit.synthetic.person_body import (
    ARM,
    HEAD_TOP,
    LEG,
    NECK,
    PELVIS,
    THORAX,
    Figure,
    about_z,
    capsules,
    draw_build,
    gap,
    hidden_joints,
    lowest,
    pose_figure,
)
from posekit.synthetic.person_mesh import Looks
from posekit.synthetic.person_pose import ACTIVITIES, LIMITS, Angles, draw_angles
from posekit.synthetic.person_scene import Block, Picture, _paint_people, draw_picture, hidden
from posekit.synthetic.scene import Light, look_at

TRAIN, TEST = 9, 4
PUBLISHED = {
    "imgname": ("S13", ()), "center": ("f8", (2,)), "scale": ("f8", ()), "part": ("f8", (16, 2)),
    "visible": ("f8", (16,)), "normalize": ("f8", ()),
}  # fmt: skip
LEFT = [k for k, name in enumerate(PERSON.keypoints) if name.startswith("left")]
RIGHT = [PERSON.flip_order[k] for k in LEFT]


def read_labels(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: file[name][:] for name in file}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("people") / "set"
    MPII.draw(out, TRAIN, TEST, seed=5, workers=1)
    return out


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    """Many pictures as they are set up, without painting."""
    return [draw_picture(np.random.default_rng(k), count_people(1, "train", k)) for k in range(130)]


@pytest.fixture(scope="module")
def rows(pictures: list[Picture]) -> dict[str, np.ndarray]:
    """The labels of `pictures`, with nothing standing before the people."""
    found: list[Row] = []
    for picture in pictures:
        bare = np.zeros(picture.camera.size[::-1], np.uint8)
        found += [label(picture, k, bare, 1.0, np.random.default_rng(k)) for k in range(len(picture.people))]
    return {name: np.array([getattr(row, name) for row in found]) for name in ("center", "scale", "part", "visible")}


@pytest.fixture(scope="module")
def real() -> dict[str, np.ndarray]:
    folder = os.environ.get("POSEKIT_ANNOTATIONS")
    if not folder:
        pytest.skip("POSEKIT_ANNOTATIONS is not set")
    return read_labels(Path(folder) / "mpii_valid.h5")


def figure(heading: float = 0.0, **angles: np.ndarray) -> Figure:
    return pose_figure(draw_build(np.random.default_rng(0)), replace(Angles(), **angles), heading)


def test_layout_and_label_format(drawn: Path):
    assert sorted(p.name for p in drawn.iterdir()) == ["annot", "drawn.json", "images"]
    assert sorted(p.name for p in (drawn / "annot").iterdir()) == ["train.h5", "valid.h5"]
    named = set()
    for file, count in (("train.h5", TRAIN), ("valid.h5", TEST)):
        labels = read_labels(drawn / "annot" / file)
        assert set(labels) == set(PUBLISHED)
        for name, (kind, shape) in PUBLISHED.items():
            assert labels[name].dtype == np.dtype(kind) and labels[name].shape == (count, *shape)
        np.testing.assert_array_equal(labels["normalize"], 20 * labels["scale"])
        np.testing.assert_array_equal(labels["part"], np.round(labels["part"]))
        assert set(np.unique(labels["visible"])) <= {0.0, 1.0}
        named |= set(labels["imgname"].tolist())
        for name, part in zip(labels["imgname"], labels["part"], strict=True):
            height, width, _ = cv2.imread(str(drawn / "images" / name.decode())).shape
            assert 360 <= min(width, height) and max(width, height) <= 1280
            assert (part >= 0).all() and (part < (width, height)).all()
    assert named == {p.name.encode() for p in (drawn / "images").iterdir()}
    assert all(len(name) == 13 and name[:9].isdigit() for name in named)


def test_the_reader_finds_what_was_drawn(drawn: Path):
    data, labels = MPII.read(drawn, "test"), read_labels(drawn / "annot" / "valid.h5")
    assert data.names == [f"{name.decode()}:{k}" for k, name in enumerate(labels["imgname"])]
    np.testing.assert_array_equal(data.keypoints, labels["part"].astype(np.float32))
    np.testing.assert_array_equal(data.visible & ~data.hidden, labels["visible"] == 1)
    np.testing.assert_allclose(data.box_size, 200 * labels["scale"], rtol=1e-6)
    assert not MPII.check(drawn).problems


@pytest.mark.slow
def test_the_same_bytes_from_any_number_of_processes(drawn: Path, tmp_path: Path):
    script = (
        "from pathlib import Path; from posekit.layouts.mpii import MPII\n"
        f"if __name__ == '__main__': MPII.draw(Path('again'), {TRAIN}, {TEST}, seed=5, workers=2)"
    )
    (tmp_path / "draw.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(person_module.__file__).parents[2])}
    subprocess.run([sys.executable, "draw.py"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    files = [p.relative_to(drawn) for p in sorted(drawn.rglob("*.*")) if p.is_file() and p.name != "drawn.json"]
    assert len(files) == count_images(5, "train", TRAIN) + count_images(5, "test", TEST) + 2
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (drawn / file).read_bytes(), file


def test_another_seed_or_split_draws_another_picture():
    first = draw_image(5, "train", 0).data
    assert first != draw_image(6, "train", 0).data and first != draw_image(5, "test", 0).data


def test_nothing_is_left_when_interrupted_and_nothing_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(person_module, "_write_image", stop)
    with pytest.raises(KeyboardInterrupt):
        MPII.draw(tmp_path / "set", 2, 1, seed=0, workers=1)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="exists already; name a new folder"):
        MPII.draw(tmp_path, 1, 1, seed=0)
    with pytest.raises(InputError, match="--test -1"):
        MPII.draw(tmp_path / "new", 1, -1, seed=0)


def test_images_show_one_to_four_people_and_rows_share_them():
    counts = np.bincount([count_people(0, "train", k) for k in range(2000)], minlength=5)
    assert counts[0] == 0 and counts[1:5].all() and len(counts) == 5
    images = count_images(0, "train", 100)
    shown = np.cumsum([count_people(0, "train", k) for k in range(images)])
    assert shown[-1] >= 100 > shown[-2]


def test_left_is_left():
    """Someone who meets the camera has their left on its right; someone who walks ahead of it, on its left."""
    camera = look_at(np.array((-6.0, 0.0, 1.4)), np.array((0.0, 0.0, 0.9)), 0.0, 600.0, (640, 480))
    for heading, sign in ((np.pi, 1), (0.0, -1)):
        points = camera.project(figure(heading).joints)
        assert (sign * (points[LEFT, 0] - points[RIGHT, 0]) > 0).all()
        assert points[HEAD_TOP, 1] < points[NECK, 1] < points[PELVIS, 1] < points[[0, 5], 1].min()
    raised = figure(shoulder=np.array([(0.0, 120.0, 0.0), (0.0, 8.0, 10.0)])).joints
    assert PERSON.keypoints[15] == "left wrist" and raised[15, 2] > raised[NECK, 2] > raised[10, 2]
    assert (figure().joints[LEFT, 1] > 0).all()  # to the left of someone who looks along x


def test_joints_bend_by_their_angles():
    rng = np.random.default_rng(1)
    for _ in range(40):
        _, angles = draw_angles(rng)
        body = pose_figure(draw_build(rng), angles, rng.uniform(-3, 3))
        for side in (0, 1):
            for (a, b, c), bend in ((ARM[side], angles.elbow[side, 0]), (LEG[side], angles.knee[side, 0])):
                upper, lower = body.joints[b] - body.joints[a], body.joints[c] - body.joints[b]
                cosine = upper @ lower / np.linalg.norm(upper) / np.linalg.norm(lower)
                assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) == pytest.approx(bend, abs=0.01)


def test_knees_bend_back_and_elbows_forward():
    bent = figure(knee=np.full((2, 1), 60.0), elbow=np.full((2, 1), 60.0), shoulder=np.zeros((2, 3)))
    assert (bent.joints[[0, 5], 0] < bent.joints[[1, 4], 0] - 0.2).all()
    assert (bent.joints[[10, 15], 0] > bent.joints[[11, 14], 0] + 0.15).all()
    tilted = figure(spine=np.array((50.0, 0.0, 0.0)))
    assert tilted.joints[THORAX, 0] > tilted.joints[PELVIS, 0] + 0.15
    assert figure(head=np.array((0.0, 0.0, 60.0))).head_frame[1, 0] > 0.8  # looks to the left


@pytest.mark.parametrize("name", list(ACTIVITIES))
def test_postures_are_human_and_stand_on_the_ground(name: str):
    rng = np.random.default_rng(2)
    for _ in range(15):
        angles = ACTIVITIES[name][0](rng).jittered(rng, 5.0).limited()
        for limit, (low, high) in LIMITS.items():
            value = getattr(angles, limit)
            assert (value >= low).all() and (value <= high).all(), limit
        mirrored = angles.mirrored().mirrored()
        assert all(np.array_equal(getattr(mirrored, limit), getattr(angles, limit)) for limit in LIMITS)
        assert lowest(pose_figure(draw_build(rng), angles)) == pytest.approx(angles.lift, abs=1e-9)


def test_bones_keep_their_lengths_and_adult_proportions():
    """Shares of stature by Drillis and Contini: thigh .245, shin .246, upper arm .186, forearm .146; shoulders .259."""
    rng = np.random.default_rng(3)
    for build in [adult for adult in (draw_build(rng) for _ in range(40)) if adult.size > 0.9]:
        joints = pose_figure(build, draw_angles(rng)[1], 1.0).joints
        upright = pose_figure(build, replace(Angles(), spine=np.zeros(3)))
        stature = upright.joints[HEAD_TOP, 2]
        for a, b, share in ((2, 1, 0.245), (1, 0, 0.246), (12, 11, 0.186), (11, 10, 0.146)):
            for one, two in ((a, b), (PERSON.flip_order[a], PERSON.flip_order[b])):
                assert np.linalg.norm(joints[one] - joints[two]) / stature == pytest.approx(share, rel=0.25)
        assert np.linalg.norm(joints[12] - joints[13]) < 0.259 * stature
        np.testing.assert_allclose(joints[PELVIS], joints[[2, 3]].mean(0), atol=1e-9)
        np.testing.assert_allclose(joints[THORAX], joints[[12, 13]].mean(0), atol=1e-9)


def test_the_near_side_hides_the_far_side():
    body = figure(hip=np.array([(25.0, 0, 0), (-25.0, 0, 0)]))
    parts = [capsules(body)]
    from_left = hidden_joints(body, parts, 0, np.array((0.0, 6.0, 1.2)))
    assert from_left[[2, 12]].all() and not from_left[[0, 1, 3, 4, 5, 13, 14, 15]].any()
    from_right = hidden_joints(body, parts, 0, np.array((0.0, -6.0, 1.2)))
    assert from_right[[3, 13]].all() and not from_right[[0, 1, 2, 4, 5, 12, 11, 10]].any()
    for x in (6.0, -6.0):
        assert not hidden_joints(body, parts, 0, np.array((x, 0.0, 1.2))).any()
    crossed = figure(shoulder=np.array([(-25.0, -10, 0), (-25.0, -10, 0)]))  # hands behind the back
    behind = hidden_joints(crossed, [capsules(crossed)], 0, np.array((6.0, 0.0, 1.2)))
    assert behind[[10, 15]].all() and not behind[[NECK, HEAD_TOP, 13, 12]].any()


def test_who_stands_before_hides_who_stands_behind():
    near, far = figure().moved(np.eye(3), np.array((-1.0, 0.0, 0.0))), figure()
    bodies = [capsules(near), capsules(far)]
    eye = np.array((-60.0, 0.0, 1.0))
    alone = hidden_joints(far, bodies[1:], 0, eye)
    assert not hidden_joints(near, bodies, 0, eye).any() and not alone.any()
    assert np.delete(hidden_joints(far, bodies, 1, eye), HEAD_TOP).all()  # which is on the outline


def test_a_seat_hides_what_is_behind_and_within_it():
    """A box from -0.5 to 0.5 m across, 3 m away; the eye's line to y = 0.45 or 0.8 m at 4.5 m passes 0.38 or 0.67 m."""
    low, high = np.array((-0.2, -0.5, 0.0)), np.array((0.2, 0.5, 0.45))
    broad, narrow = (Block(low, high, about_z(turn), np.array((3.0, 0, 0)), np.ones(3)) for turn in (0.0, 90.0))
    eye = np.array((-5.0, 0.0, 1.5))
    centre = np.array([(4.5, 0, 0.1), (3.0, 0, 0.2), (3.0, 0, 0.6), (2.0, 0, 0.1), (6.0, 0, 1.5)])
    for block in (broad, narrow):
        assert block.hides(centre, eye).tolist() == [True, True, False, False, False]
    aside = np.array([(4.5, 0.45, 0.1), (4.5, 0.8, 0.1)])
    assert broad.hides(aside, eye).tolist() == [True, False] and not narrow.hides(aside, eye).any()


def test_missing_joints_are_those_outside_the_picture(pictures: list[Picture], rows: dict[str, np.ndarray]):
    points, sizes = [], []
    for picture in pictures:
        points += [picture.camera.project(person.figure.joints) for person in picture.people]
        sizes += [picture.camera.size] * len(picture.people)
    bones = np.setdiff1d(np.arange(16), (PELVIS, THORAX))  # these two are midway between labelled joints
    pixels, part = np.round(points)[:, bones], rows["part"][:, bones]
    inside = ((pixels >= 0) & (pixels < np.array(sizes)[:, None])).all(2)
    assert 0.02 < 1 - inside.mean() < 0.15
    np.testing.assert_array_equal(part, np.where(inside[..., None], pixels, 0))
    assert not rows["visible"][:, bones][~inside].any()
    for middle, pair in ((PELVIS, (2, 3)), (THORAX, (12, 13))):
        both = (rows["part"][:, pair] != 0).any(2).all(1)
        np.testing.assert_array_equal((rows["part"][:, middle] != 0).any(1), both)
        error = rows["part"][both, middle] - rows["part"][both][:, pair].mean(1)
        assert np.abs(error).max() <= 0.5
        np.testing.assert_array_equal(rows["visible"][:, middle], rows["visible"][:, pair].all(1))


def test_each_labelled_person_can_be_seen(rows: dict[str, np.ndarray]):
    assert (rows["part"][:, [NECK, HEAD_TOP]] != 0).any(2).all()
    assert rows["visible"].sum(1).min() >= 5


def test_people_do_not_stand_in_each_other(pictures: list[Picture]):
    for picture in pictures:
        parts = [person.parts for person in picture.people]
        assert all(gap(one, other) > 0 for k, one in enumerate(parts) for other in parts[:k])


def test_pixels_show_whom_the_labels_name():
    """Two people in one colour each: a joint that shows has its owner's, one behind the other person has theirs."""
    right = {"shows": [], "covered": []}
    noon = Light(np.array((0.0, 0.0, 1.0)), np.full(3, 0.2), np.full(3, 0.7), np.full(3, 0.5), 0.3)
    for index in range(200):
        picture = draw_picture(np.random.default_rng([4, index]), 2)
        people = [replace(p, looks=_plain(p.looks, k), seat=None) for k, p in enumerate(picture.people)]
        canvas = np.full((*picture.camera.size[::-1], 3), 255, np.uint8)
        _paint_people(canvas, picture.camera, noon, people)
        for number, person in enumerate(people):
            points = np.round(picture.camera.project(person.figure.joints)).astype(int)
            alone, both = hidden([person], 0, picture.camera), hidden(people, number, picture.camera)
            for (x, y), self_hidden, covered in zip(points, alone, both, strict=True):
                if self_hidden or not (0 <= x < canvas.shape[1] and 0 <= y < canvas.shape[0]):
                    continue
                red, _, blue = canvas[y, x].tolist()
                owner = blue > red + 20 if covered != bool(number) else red > blue + 20
                right["covered" if covered else "shows"].append(owner)
    assert len(right["covered"]) > 20 and len(right["shows"]) > 600
    assert np.mean(right["shows"]) > 0.97 and np.mean(right["covered"]) > 0.85


def _plain(looks: Looks, number: int) -> Looks:
    """All in red (0) or in blue (1)."""
    tone = np.array(((0.6, 0.1, 0.1), (0.1, 0.1, 0.6))[number])
    dyed = dict.fromkeys(("skin", "hair", "top", "second", "bottom", "shoes"), tone)
    return replace(looks, **dyed, cut="short", backpack=None)


def test_boxes_and_bones_are_those_of_mpii(rows: dict[str, np.ndarray], real: dict[str, np.ndarray]):
    """Lengths as parts of the box and the box's place, medians over people with all joints."""
    assert len(real["scale"]) == 2958
    medians = []
    for labels in (rows, real):
        part = labels["part"][(labels["part"] != 0).any(2).all(1)]
        full = (labels["part"] != 0).any(2).all(1)
        side = 200 * labels["scale"][full]
        bones = [np.median(np.linalg.norm(part[:, a] - part[:, b], axis=1) / side) for a, b in (*PERSON.limbs,)]
        middle = np.median((labels["center"][full] - part[:, THORAX]) / side[:, None], axis=0)
        medians.append(np.array([*bones, *middle]))
    np.testing.assert_allclose(medians[0], medians[1], atol=0.04)
    assert medians[0][8] == pytest.approx(medians[1][8], rel=0.05)  # neck to head top, which sets the box


def test_joints_are_missing_as_often_as_in_mpii(rows: dict[str, np.ndarray], real: dict[str, np.ndarray]):
    figures = []
    for labels in (rows, real):
        present = (labels["part"] != 0).any(2)
        relative = (labels["part"] - labels["center"][:, None]) / (200 * labels["scale"])[:, None, None]
        off = np.linalg.norm(relative - np.nanmedian(np.where(present[..., None], relative, np.nan), axis=0), axis=2)
        figures.append([1 - present.mean(), present.all(1).mean(), (off[present] < 0.05).mean()])
    np.testing.assert_allclose(figures[0][:2], figures[1][:2], atol=0.04)
    # Near their median place in the box: 20 % of MPII's joints, more here, where most people stand or walk.
    assert figures[1][2] < figures[0][2] < 0.5
