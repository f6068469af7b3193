"""The people's protocols against closed forms, a plain re-statement of the published evaluator, and its counts."""

import csv
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from mpii_files import images_of, people, write_labels, write_mpii
from scipy.io import savemat
from typer.testing import CliRunner
from veri_files import write_veri

from posekit import bounds
from posekit.cli import main as cli
from posekit.errors import InputError
from posekit.evaluation.protocols import score, write_scores
from posekit.evaluation.published import (
    MpiiQuirks,
    mpii_pckh,
    mpii_pckh_counts,
    mpii_published_counts,
    mpii_published_report,
    mpii_published_table,
    mpii_walk,
)
from posekit.layouts import score_file
from posekit.layouts.heads import read_annotation
from posekit.layouts.mpii import MPII, MpiiLabels, read_labels
from posekit.layouts.record import Layout
from posekit.layouts.veri import VERI
from posekit.predictions import Predictions, read_predictions, write_predictions

real_labels = pytest.mark.skipif("POSEKIT_ANNOTATIONS" not in os.environ, reason="needs the published label files")

# The joint names of the published report, by index; its other column is "total".
NAMES = "ankle knee hip hip knee ankle pelvis thorax neck head wrist elbow shoulder shoulder elbow wrist".split()
REPORT_ORDER = "total ankle knee hip pelvis thorax neck head wrist elbow shoulder".split()
# Counts of all joints of the valid file, as implementations of this evaluator print them.
PUBLISHED = [44239, 4234, 4963, 5777, 2878, 2932, 2932, 2931, 5837, 5867, 5888]


@pytest.fixture
def labels(tmp_path: Path) -> MpiiLabels:
    """40 people with missing, covered and x = 0 joints."""
    fields = people(images_of("test", 40), 3)
    fields["part"][5, 9] = (0, 12)
    return read_labels(write_labels(tmp_path / "valid.h5", fields))


def moved(labels: MpiiLabels, units: float | np.ndarray) -> Predictions:
    """Every joint displaced by `units` times its person's `normalize` (a number, or (N, 16)), in random directions."""
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, labels.visible.shape)
    step = np.broadcast_to(units, labels.visible.shape) * labels.unit[:, None]
    points = labels.keypoints + np.stack([np.cos(angle), np.sin(angle)], -1) * step[..., None]
    return Predictions(labels.names, points, np.ones(labels.visible.shape))


def published(labels: MpiiLabels, found: Predictions) -> dict[str, tuple[int, int]]:
    """The published evaluator, stated joint by joint: (right, counted) of every "part name"."""
    tally: dict[str, list[int]] = {}
    for n in range(len(labels.names)):
        for k, name in enumerate(NAMES):
            x, y = (float(v) for v in labels.keypoints[n, k])
            if x == 0:
                continue
            error = math.hypot(found.keypoints[n, k, 0] - x, found.keypoints[n, k, 1] - y) / labels.unit[n]
            for part in ("all", "visible" if labels.seen[n, k] else "not visible"):
                for column in ("total", name):
                    entry = tally.setdefault(f"{part} {column}", [0, 0])
                    entry[0] += error < 0.5
                    entry[1] += 1
    return {key: (right, count) for key, (right, count) in tally.items()}


# The published report


def test_perfect_predictions_score_one_everywhere(labels: MpiiLabels):
    table = mpii_published_table(labels, moved(labels, 0))
    assert list(table) == ["all", "visible", "not visible"] and list(table["all"]) == REPORT_ORDER
    assert {value for row in table.values() for value in row.values() if not math.isnan(value)} == {100.0}


@pytest.mark.parametrize(("units", "expected"), [(0.499, 100), (0.501, 0), (3, 0)])
def test_a_displacement_by_a_known_share_of_normalize(labels: MpiiLabels, units: float, expected: float):
    table = mpii_published_table(labels, moved(labels, units))
    assert set(table["all"].values()) == {expected}


def test_each_joint_and_visibility_has_its_own_figure(labels: MpiiLabels):
    """Covered elbows and seen right knees are displaced beyond the threshold; the other figures stay whole."""
    units = np.zeros(labels.visible.shape)
    units[:, [11, 14]] = np.where(labels.hidden[:, [11, 14]], 0.6, 0.4)
    units[:, 1] = np.where(labels.hidden[:, 1], 0.4, 0.6)
    table = mpii_published_table(labels, moved(labels, units))
    seen, hidden = labels.visible & ~labels.hidden, labels.hidden
    expected = {"visible": {"elbow": 100}, "not visible": {"elbow": 0, "knee": 100}, "all": {}}
    expected["visible"]["knee"] = 100 * seen[:, 4].sum() / seen[:, [1, 4]].sum()
    elbows = seen[:, [11, 14]].sum(), hidden[:, [11, 14]].sum()
    expected["all"]["elbow"] = 100 * elbows[0] / sum(elbows)
    for part, row in table.items():
        for name in set(row) - {"total", "elbow", "knee"}:
            assert row[name] == 100
        for name, value in expected[part].items():
            assert row[name] == pytest.approx(value, abs=1e-9)
    wrong = hidden[:, [11, 14]].sum() + seen[:, 1].sum()
    counted = (labels.keypoints[..., 0] != 0).sum()
    assert table["all"]["total"] == pytest.approx(100 * (1 - wrong / counted))


def test_the_border_of_the_threshold_is_outside_and_x_zero_is_missing(labels: MpiiLabels):
    unit = np.full(40, 16.0)
    whole = MpiiLabels(labels.names, labels.images, labels.center, unit / 20, labels.keypoints, labels.seen, unit)
    found = Predictions(labels.names, labels.keypoints + np.array([8.0, 0]), np.ones((40, 16)))
    assert mpii_published_table(whole, found)["all"]["total"] == 0
    assert mpii_pckh(whole, found)["PCK@0.5"]["Mean"] == 100  # there the border is inside
    assert mpii_published_counts(whole)["all, count"]["head"] == 39
    assert mpii_pckh_counts(whole)["count"]["head"] == 40


def test_the_table_and_its_counts_agree_with_a_plain_statement_of_them(labels: MpiiLabels):
    found = moved(labels, np.random.default_rng(2).uniform(0, 1, labels.visible.shape))
    table, counts = mpii_published_table(labels, found), mpii_published_counts(labels)
    for key, (right, count) in published(labels, found).items():
        part, column = key.rsplit(" ", 1)
        assert counts[f"{part}, count"][column] == count
        assert table[part][column] == pytest.approx(100 * right / count, abs=1e-10)


def published_shares(labels_file: Path, predictions_file: Path) -> dict[str, list[int]]:
    """The published evaluator from the files, in double precision throughout: [right, counted] of "all" and so on."""
    with predictions_file.open() as stream:
        found = [np.array(list(map(float, row[1:]))).reshape(16, 3) for row in csv.reader(stream)]
    tally = {part: [0, 0] for part in ("all", "visible", "not visible")}
    with h5py.File(labels_file) as file:
        for points, truth, seen, unit in zip(found, file["part"], file["visible"], file["normalize"], strict=True):
            for k in range(16):
                if truth[k, 0] == 0:
                    continue
                right = 0.5 > np.linalg.norm(points[k, :2] - truth[k]) / unit
                for part in ("all", "not visible" if seen[k] == 0 else "visible"):
                    tally[part][0] += right
                    tally[part][1] += 1
    return tally


def write_exactly(path: Path, names: list[str], points: np.ndarray) -> Path:
    """A pose csv with every digit of the points (N, 16, 2)."""
    rows = ("".join(f",{x!r},{y!r},1.0" for x, y in row) for row in points.tolist())
    path.write_text("".join(f"{name}{row}\n" for name, row in zip(names, rows, strict=True)))
    return path


@pytest.mark.parametrize("fractional", [False, True])
def test_joints_exactly_on_the_threshold_fall_as_in_the_published_evaluator(tmp_path: Path, fractional: bool):
    """1,000 people whose joints are half of `normalize` away on one axis, exactly or the next number on either side."""
    rng = np.random.default_rng(5)
    fields = people(images_of("test", 1000), 5)
    fields["part"] += rng.random(fields["part"].shape) * (fields["part"] != 0) * fractional
    file = write_labels(tmp_path / "valid.h5", fields)
    half = np.where(rng.random((1000, 16, 1)) < 0.5, [0.5, 0.0], [0.0, -0.5]) * fields["normalize"][:, None, None]
    points = fields["part"] + half
    points = np.nextafter(points, points + rng.choice([0, -1, 1], points.shape))
    table = write_exactly(tmp_path / "p.csv", read_labels(file).names, points)
    scores = score_file(MPII, file, table, "published", "test").rows
    for part, (right, count) in published_shares(file, table).items():
        assert scores[f"{part}, count"]["total"] == count
        assert scores[part]["total"] == pytest.approx(100 * right / count, abs=1e-10)
        assert 0.1 * count < right < 0.9 * count


@real_labels
def test_predictions_on_the_border_of_the_published_labels(tmp_path: Path):
    file = Path(os.environ["POSEKIT_ANNOTATIONS"]) / "mpii_valid.h5"
    labels = read_labels(file)
    points = labels.keypoints + np.stack([0.5 * labels.unit, 0 * labels.unit], -1)[:, None]
    table = write_exactly(tmp_path / "p.csv", labels.names, points)
    right, count = published_shares(file, table)["all"]
    found = mpii_published_table(labels, read_predictions(table, 16))["all"]["total"]
    assert (right, count) == (20537, 44239) and found == pytest.approx(100 * right / count, abs=1e-10)


def test_pckh_divides_by_the_head_size_to_the_last_digit(tmp_path: Path):
    """As HRNet's evaluator: the norm of the box's sides, times 0.6; a joint exactly on the border is right."""
    rng = np.random.default_rng(6)
    fields = people(images_of("test", 1000), 6)
    boxes = np.concatenate([rng.uniform(0, 20, (1000, 2)), rng.uniform(30, 50, (1000, 2))], 1)
    labels = with_heads(tmp_path / "valid.h5", fields, boxes)
    size = np.linalg.norm((boxes[:, 2:] - boxes[:, :2]).T, axis=0) * 0.6
    assert np.array_equal(labels.head_size, size)
    points = fields["part"] + np.stack([0.5 * size, 0 * size], -1)[:, None]
    distance = np.linalg.norm(points - fields["part"], axis=2) / size[:, None]
    counted = labels.visible & ~np.isin(np.arange(16), [6, 7])
    found = mpii_pckh(labels, Predictions(labels.names, points, np.ones((1000, 16))))["PCK@0.5"]["Mean"]
    assert found == pytest.approx(100 * (distance <= 0.5)[counted].mean(), abs=1e-10)


def test_the_report_prints_as_the_seeds_does(labels: MpiiLabels):
    found = moved(labels, np.random.default_rng(4).uniform(0, 1, labels.visible.shape))
    rows = mpii_published_table(labels, found) | mpii_published_counts(labels)
    tally, lines = published(labels, found), []
    for part in ("all", "visible", "not visible"):
        lines.append(f"{part} :")
        for column in REPORT_ORDER:
            right, count = tally.get(f"{part} {column}", (0, 0))
            for split in ("Val", "Tra"):
                lines.append(f"{split} PCK @, 0.5 , {column} : {round(right / max(count, 1), 3)} , count: {count}")
        lines += ["", ""]
    assert mpii_published_report(rows, rows).splitlines() == lines[:-1]
    assert mpii_published_report(rows).splitlines() == [line for line in lines[:-1] if not line.startswith("Tra")]


def test_the_report_of_nothing_says_zero_as_the_seed_does():
    row = {"total": math.nan, "neck": math.nan}
    rows = {part: row for part in ("all", "visible", "not visible")}
    rows |= {f"{part}, count": {"total": 0, "neck": 0} for part in rows}
    assert mpii_published_report(rows).splitlines()[2] == "Val PCK @, 0.5 , neck : 0.0 , count: 0"


@real_labels
def test_the_counts_are_the_published_ones():
    labels = read_labels(Path(os.environ["POSEKIT_ANNOTATIONS"]) / "mpii_valid.h5")
    assert list(mpii_published_counts(labels)["all, count"].values()) == PUBLISHED
    table = mpii_published_table(labels, moved(labels, 0))
    assert table["all"] == dict.fromkeys(REPORT_ORDER, 100.0)
    found = moved(labels, np.random.default_rng(0).uniform(0, 1, labels.visible.shape))
    right, count = published(labels, found)["not visible wrist"]
    assert mpii_published_table(labels, found)["not visible"]["wrist"] == pytest.approx(100 * right / count, abs=1e-10)


@real_labels
def test_the_published_share_of_the_published_count_is_printed_as_published():
    """0.882 of 44,239 joints: the first line of the seed's report."""
    labels = read_labels(Path(os.environ["POSEKIT_ANNOTATIONS"]) / "mpii_valid.h5")
    counted = np.argwhere(labels.keypoints[..., 0] != 0)
    units = np.zeros(labels.visible.shape)
    units[tuple(counted[: round(44239 * 0.118)].T)] = 1
    rows = mpii_published_table(labels, moved(labels, units)) | mpii_published_counts(labels)
    assert mpii_published_report(rows).splitlines()[:2] == ["all :", "Val PCK @, 0.5 , total : 0.882 , count: 44239"]


# Its quirks, one by one


def test_the_border_counts_as_inside_when_switched_off(labels: MpiiLabels):
    whole = replace(labels, unit=np.full(40, 16.0))
    found = Predictions(labels.names, labels.keypoints + np.array([8.0, 0]), np.ones((40, 16)))
    assert mpii_published_table(whole, found)["all"]["total"] == 0
    assert mpii_published_table(whole, found, quirks=MpiiQuirks(open_border=False))["all"]["total"] == 100


def test_a_joint_at_x_zero_counts_when_switched_off(labels: MpiiLabels):
    units = np.zeros(labels.visible.shape)
    units[5, 9] = 1  # the head at x = 0 is missed
    assert mpii_published_table(labels, moved(labels, units))["all"]["head"] == 100
    table = mpii_published_table(labels, moved(labels, units), quirks=MpiiQuirks(zero_missing=False))
    assert table["all"]["head"] == pytest.approx(100 * 39 / 40)


def test_pelvis_and_thorax_do_not_count_when_switched_off(labels: MpiiLabels):
    units = np.zeros(labels.visible.shape)
    units[:, [6, 7]] = 1
    counted = labels.keypoints[..., 0] != 0
    expected = 100 * np.delete(counted, [6, 7], axis=1).sum() / counted.sum()
    assert mpii_published_table(labels, moved(labels, units))["all"]["total"] == pytest.approx(expected)
    table = mpii_published_table(labels, moved(labels, units), quirks=MpiiQuirks(all_joints=False))
    assert table["all"]["total"] == 100 and math.isnan(table["all"]["pelvis"])


def test_the_head_box_takes_the_place_of_normalize_when_switched_off(labels: MpiiLabels):
    heads = replace(labels, unit=np.full(40, 10.0), head_size=np.full(40, 30.0))
    found = Predictions(labels.names, labels.keypoints + np.array([14.9, 0]), np.ones((40, 16)))
    assert mpii_published_table(heads, found)["all"]["total"] == 0
    assert mpii_published_table(heads, found, quirks=MpiiQuirks(scale_unit=False))["all"]["total"] == 100
    with pytest.raises(InputError, match="no head boxes; `posekit data add-heads`"):
        mpii_published_table(labels, found, quirks=MpiiQuirks(scale_unit=False))


@pytest.mark.parametrize("head_size", [None, np.linspace(3, 9, 40)])
def test_the_walk_ends_at_pckh(labels: MpiiLabels, head_size: np.ndarray | None):
    people = replace(labels, head_size=head_size)
    found = moved(people, np.random.default_rng(2).uniform(0, 1, labels.visible.shape))
    walk = mpii_walk(people, found)
    seed = [mpii_published_table(people, found, t)["all"]["total"] for t in (0.5, 0.1)]
    table = mpii_pckh(people, found)
    assert list(walk[0][1].values()) == seed
    assert list(walk[-1][1].values()) == pytest.approx([table["PCK@0.5"]["Mean"], table["PCK@0.1"]["Mean"]])
    assert len(walk) == (4 if head_size is None else 5)


# Head boxes


def with_heads(path: Path, fields: dict[str, np.ndarray], boxes: np.ndarray) -> MpiiLabels:
    return read_labels(write_labels(path, {**fields, "headbox": boxes}))


def test_a_head_box_of_50_pixels_across_is_a_unit_of_30(tmp_path: Path):
    boxes = np.tile([10.0, 20.0, 40.0, 60.0], (4, 1))
    heads = with_heads(tmp_path / "valid.h5", people(images_of("test", 4)), boxes)
    np.testing.assert_allclose(heads.head_size, 30)
    for pixels, expected in ((14.99, 100), (15.01, 0)):
        found = Predictions(heads.names, heads.keypoints + np.array([0, pixels]), np.ones((4, 16)))
        assert mpii_pckh(heads, found)["PCK@0.5"]["Mean"] == expected
    assert MPII.protocols["pckh"].about(heads).startswith("1 is 0.6 of the head box's diagonal")
    boxes[2, 2:] = boxes[2, :2]
    with pytest.raises(InputError, match="field headbox, row 2 .*: no box with a size"):
        with_heads(tmp_path / "flat.h5", people(images_of("test", 4)), boxes)


def annotation(path: Path, fields: dict[str, np.ndarray], boxes: np.ndarray, shift: float = 0.0) -> Path:
    """The people of a label file as MPII's own annotation has them: a struct array of images, of people, of joints."""
    rect = [(k, "O") for k in ("x1", "y1", "x2", "y2", "annopoints")]
    by_image: dict[bytes, list] = {}
    for name, part, box in zip(fields["imgname"], fields["part"], boxes, strict=True):
        points = [(*(part[k] + shift), k) for k in range(16) if part[k].any()]
        joints = {"point": np.array(points, [("x", "O"), ("y", "O"), ("id", "O")])}
        by_image.setdefault(name, []).append((*box, joints))
    images = [({"name": name.decode()}, np.array(people, rect)) for name, people in by_image.items()]
    images.append(({"name": "empty.jpg"}, np.array([])))
    release = {"annolist": np.array(images, [("image", "O"), ("annorect", "O")])}
    savemat(path, {"RELEASE": release})
    return path


def test_head_boxes_come_from_the_annotation_whose_joints_lie_nearest(tmp_path: Path):
    fields = people(images_of("test", 6))
    boxes = np.random.default_rng(0).uniform(0, 20, (6, 4)) + [0, 0, 30, 40]
    data = write_mpii(tmp_path / "data", test=6)
    labels = write_labels(data / "annot" / "valid.h5", fields)
    turned = {"imgname": fields["imgname"][::-1], "part": fields["part"][::-1]}
    mat = annotation(tmp_path / "mpii.mat", turned, boxes[::-1], shift=0.8)
    assert "of 6 people" in run("data", "add-heads", mat, data)
    expected = 0.6 * np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    np.testing.assert_allclose(read_labels(labels).head_size, expected)
    np.testing.assert_allclose(MPII.read(data, "test").head_size, expected)
    run("data", "add-heads", mat, data)  # once more changes nothing
    np.testing.assert_allclose(read_labels(labels).head_size, expected)


def test_an_annotation_of_other_people_leaves_the_labels_as_they_are(tmp_path: Path):
    fields = people(images_of("test", 4))
    data = write_mpii(tmp_path / "data")
    before = write_labels(data / "annot" / "valid.h5", fields).read_bytes()
    mat = annotation(tmp_path / "mpii.mat", fields, np.tile([0.0, 0, 3, 4], (4, 1)), shift=20)
    with pytest.raises(InputError, match="no head box for 4 of 4 people"):
        run("data", "add-heads", mat, data)
    assert (data / "annot" / "valid.h5").read_bytes() == before
    (tmp_path / "other.mat").write_bytes(b"no matlab")
    with pytest.raises(InputError, match="other.mat: not MPII's annotation"):
        run("data", "add-heads", tmp_path / "other.mat", data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda boxes, fields: boxes.__setitem__((1, 2), 1e9), "are not coordinates"),
        (lambda boxes, fields: boxes.__setitem__((1, 2), np.nan), "are not coordinates"),
        (lambda boxes, fields: fields["part"].__setitem__((2, 9, 0), np.inf), "are not coordinates"),
    ],
)
def test_an_annotation_with_absurd_numbers_is_refused(tmp_path: Path, change, said: str):
    fields, boxes = people(images_of("test", 4)), np.tile([0.0, 0, 30, 40], (4, 1))
    change(boxes, fields)
    with pytest.raises(InputError, match=f"mpii.mat: not MPII's annotation .*{said}"):
        read_annotation(annotation(tmp_path / "mpii.mat", fields, boxes))


def test_a_joint_that_is_none_of_the_16_is_refused(tmp_path: Path):
    joints = {"point": np.array([(1.0, 2.0, -1)], [("x", "O"), ("y", "O"), ("id", "O")])}
    rect = np.array([(0, 0, 9, 9, joints)], [(k, "O") for k in ("x1", "y1", "x2", "y2", "annopoints")])
    images = np.array([({"name": "a.jpg"}, rect)], [("image", "O"), ("annorect", "O")])
    savemat(tmp_path / "mpii.mat", {"RELEASE": {"annolist": images}})
    with pytest.raises(InputError, match="joint -1 where 0 to 15 are expected"):
        read_annotation(tmp_path / "mpii.mat")


def test_an_annotation_that_unpacks_without_end_is_refused_before_it_is_read(tmp_path: Path, monkeypatch):
    """10 million zeros in 10 kB, against a bound made small."""
    savemat(tmp_path / "bomb.mat", {"RELEASE": np.zeros(10_000_000, np.uint8)}, do_compression=True)
    assert (tmp_path / "bomb.mat").stat().st_size < 20_000
    monkeypatch.setattr(bounds, "LARGEST_MATLAB", 1_000_000)
    monkeypatch.setattr("scipy.io.loadmat", None)
    with pytest.raises(InputError, match="unpacks to more than 1,000,000 bytes"):
        read_annotation(tmp_path / "bomb.mat")


def test_an_annotation_on_which_the_reader_crashes_is_refused(tmp_path: Path):
    """One changed byte, a number of a type that doesn't exist, ends the process of SciPy 1.17.1."""
    mat = annotation(tmp_path / "mpii.mat", people(images_of("test", 2)), np.tile([0.0, 0, 30, 40], (2, 1)))
    damaged = bytearray(mat.read_bytes())
    damaged[damaged.rindex(b"\x0c\x00\x00\x00\x08\x00\x00\x00") + 1] = 10  # type 12, 8 bytes: a joint's number
    mat.write_bytes(damaged)
    with pytest.raises(InputError, match="mpii.mat: not MPII's annotation .damaged: its reader crashed"):
        read_annotation(mat)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>", "an HTML page, perhaps a download's warning"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"", "an empty file"),
    ],
)
def test_an_annotation_that_is_another_kind_of_file_is_named(tmp_path: Path, content: bytes, said: str):
    (tmp_path / "mpii.mat").write_bytes(content)
    with pytest.raises(InputError, match=f"mpii.mat: not MPII's annotation .{said}"):
        read_annotation(tmp_path / "mpii.mat")


# The 14 joints that other work counts


@pytest.mark.parametrize(("units", "expected"), [(0.05, [100, 100, 100]), (0.15, [0, 100, 100]), (0.3, [0, 0, 100])])
def test_pckh_of_a_known_displacement(labels: MpiiLabels, units: float, expected: list[float]):
    table = mpii_pckh(labels, moved(labels, units))
    assert list(table) == ["PCK@0.1", "PCK@0.2", "PCK@0.5", "AUC"]
    columns = ["ankle", "knee", "hip", "neck", "head", "wrist", "elbow", "shoulder", "Mean"]
    for threshold, rate in zip((0.1, 0.2, 0.5), expected, strict=True):
        assert table[f"PCK@{threshold:g}"] == dict.fromkeys(columns, rate)
    # The curve is 0 up to the displacement and 100 beyond: its area is what is left of 0…0.5.
    assert table["AUC"]["Mean"] == pytest.approx(100 * (1 - units / 0.5))


def test_pelvis_thorax_and_missing_joints_do_not_count_for_pckh(labels: MpiiLabels):
    units = np.where(labels.visible, 0.0, 9.0)
    units[:, [6, 7]] = 9
    assert mpii_pckh(labels, moved(labels, units))["PCK@0.1"]["Mean"] == 100
    units[0, 9] = 9
    right = mpii_pckh_counts(labels)["count"]["Mean"] - 1
    assert right + 1 == np.delete(labels.visible, [6, 7], axis=1).sum()
    assert mpii_pckh(labels, moved(labels, units))["PCK@0.1"]["Mean"] == pytest.approx(100 * right / (right + 1))


@real_labels
def test_pckh_counts_all_but_pelvis_and_thorax():
    labels = read_labels(Path(os.environ["POSEKIT_ANNOTATIONS"]) / "mpii_valid.h5")
    pelvis, thorax = PUBLISHED[4:6]
    one_head_at_x_zero = 1
    assert mpii_pckh_counts(labels)["count"]["Mean"] == PUBLISHED[0] - pelvis - thorax + one_head_at_x_zero


# From files


@pytest.mark.parametrize("protocol", list(MPII.protocols))
def test_rows_may_come_in_any_order_and_others_are_refused(labels: MpiiLabels, protocol: str):
    table = MPII.protocols[protocol].table
    found = moved(labels, np.random.default_rng(7).uniform(0, 1, labels.visible.shape))
    order = np.random.default_rng(8).permutation(40)
    shuffled = Predictions([found.names[i] for i in order], found.keypoints[order], found.scores[order])
    assert repr(table(labels, shuffled)) == repr(table(labels, found))
    with pytest.raises(InputError, match="predictions: 1 of 40 samples are missing, the first is 000005000.jpg:0"):
        table(labels, Predictions(found.names[1:], found.keypoints[1:], found.scores[1:]))


def write_fractional_mpii(root: Path, train: int, test: int) -> Path:
    """A whole data set whose joints are between pixels."""
    write_mpii(root, train, test)
    with h5py.File(root / "annot" / "valid.h5", "r+") as file:
        file["part"][...] += np.random.default_rng(0).random((test, 16, 2))
    return root


@pytest.mark.parametrize(("layout", "write"), [(MPII, write_mpii), (MPII, write_fractional_mpii), (VERI, write_veri)])
def test_a_file_scores_to_the_digit_as_the_data_set_does(tmp_path: Path, layout: Layout, write):
    dataset = layout.read(write(tmp_path / "data", 3, 9), "test")
    noise = np.random.default_rng(0).normal(0, 0.2, dataset.keypoints.shape)
    write_predictions(tmp_path / "p.csv", Predictions(dataset.names, dataset.keypoints + noise, 1 - noise[..., 0] ** 2))
    found = read_predictions(tmp_path / "p.csv", dataset.skeleton.num_keypoints)
    for protocol, table in score(layout.protocols, dataset, found).items():
        alone = score_file(layout, tmp_path / "data", tmp_path / "p.csv", protocol, "test")
        assert repr({name: alone.rows[name] for name in table.rows}) == repr(table.rows)  # NaN is NaN
        assert alone.about == table.about


def run(*arguments: object) -> str:
    """What the command prints; raises its message as InputError where it ends with code 2."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exit_code == 2:
        raise InputError(result.stderr)
    assert not result.exception
    return result.output


def predict(data: Path, split: str, out: Path, units: float = 0.0) -> Path:
    path = data / "annot" / {"train": "train.h5", "test": "valid.h5"}[split]
    write_predictions(out, moved(read_labels(path), units))
    return out


def test_the_command_prints_the_report_with_the_first_training_people(tmp_path: Path):
    data = write_mpii(tmp_path / "data", train=5, test=4)
    valid, train = predict(data, "test", tmp_path / "v.csv"), predict(data, "train", tmp_path / "t.csv", 0.7)
    text = run("score", "mpii", data, "--predictions", valid).splitlines()
    labels = read_labels(data / "annot" / "valid.h5")
    assert text[:2] == ["all :", f"Val PCK @, 0.5 , total : 1.0 , count: {labels.visible.sum()}"]
    more = ["--train-predictions", train, "--train-samples", 3, "--json", tmp_path / "s.json"]
    both = run("score", "mpii", data, "--predictions", valid, *more).splitlines()
    first = read_labels(data / "annot" / "train.h5").visible[:3].sum()
    assert both[1:3] == [text[1], f"Tra PCK @, 0.5 , total : 0.0 , count: {first}"]
    saved = json.loads((tmp_path / "s.json").read_text())
    assert saved["all"]["total"] == 100 and saved["Tra all"]["total"] == 0 and saved["Tra all, count"]["total"] == first
    only_first = read_predictions(train, 16).in_order(read_labels(data / "annot" / "train.h5").names)
    write_predictions(train, Predictions(only_first.names[:3], only_first.keypoints[:3], only_first.scores[:3]))
    assert run("score", "mpii", data, "--predictions", valid, *more).splitlines() == both


def test_the_command_says_what_the_normaliser_is_and_needs_no_images(tmp_path: Path):
    data = write_mpii(tmp_path / "data")
    predictions = predict(data, "test", tmp_path / "v.csv", 0.15)
    labels = data / "annot" / "valid.h5"
    text = run("score", "mpii", labels, "--predictions", predictions, "--protocol", "pckh")
    assert "PCK@0.2" in text and "20 x scale" in text and "lack the head boxes" in text
    with pytest.raises(InputError, match="unknown protocol 'pck'; choose one of published, pckh"):
        run("score", "mpii", labels, "--predictions", predictions, "--protocol", "pck")
    with pytest.raises(InputError, match="give the folder"):
        run("score", "mpii", labels, "--predictions", predictions, "--train-predictions", predictions)


def test_rates_of_nothing_are_null_in_json(tmp_path: Path):
    write_scores(tmp_path / "s.json", {"a": {"b": math.nan, "c": 1.5, "d": 3}})
    text = (tmp_path / "s.json").read_text()
    assert "NaN" not in text and json.loads(text) == {"a": {"b": None, "c": 1.5, "d": 3}}


def test_the_check_command_reports_and_stops_when_strict(tmp_path: Path):
    data = write_mpii(tmp_path / "data")
    assert "readable images" in run("data", "check", "mpii", data, "--strict")
    (data / "images" / "000005001.jpg").unlink()
    assert "missing images" in run("data", "check", "mpii", data)
    with pytest.raises(InputError, match="1 kinds of problem"):
        run("data", "check", "mpii", data, "--strict")
