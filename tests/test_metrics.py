"""PCK against closed forms, a plain re-statement of the published evaluator, and its published oracle figures."""

import csv
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from veri_files import write_veri

from posekit.errors import InputError
from posekit.evaluation import metrics
from posekit.evaluation.published import AS_PUBLISHED, PLAIN, Quirks, veri_pck, veri_published_table, veri_walk
from posekit.layouts import score_file
from posekit.layouts.veri import VERI, VeriLabels, read_labels
from posekit.predictions import Predictions, write_predictions
from posekit.skeletons import VEHICLE

COLUMNS = ["Wheel", "Fender", "Back", "Front", "WindshieldBack", "WindshieldFront", "Mean", "Mean@0.1"]
real_labels = pytest.mark.skipif("POSEKIT_ANNOTATIONS" not in os.environ, reason="needs the published label files")


def some_labels(count: int, side: int = 100, seed: int = 0) -> VeriLabels:
    """Random integer labels whose keypoint box is exactly `side` pixels a side, so √area is `side`."""
    rng = np.random.default_rng(seed)
    points = rng.integers(10, 10 + side + 1, (count, 36, 2)).astype(float)
    points[:, 3], points[:, 30] = 10, 10 + side
    visible = rng.random((count, 36)) < 0.6
    visible[0] = True  # every keypoint counts somewhere
    names = [f"{i:06d}.jpg" for i in range(count)]
    return VeriLabels(names, np.full((count, 2), side + 20), points, visible)


def exact(labels: VeriLabels, score: float = 1.0) -> Predictions:
    return Predictions(labels.names, labels.keypoints.copy(), np.full(labels.visible.shape, score))


def moved(labels: VeriLabels, pixels: float | np.ndarray, score: float = 1.0) -> Predictions:
    """Every keypoint displaced by `pixels` (a number, or one for each keypoint) in a random direction."""
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, labels.visible.shape)
    step = np.stack([np.cos(angle), np.sin(angle)], -1) * np.broadcast_to(pixels, labels.visible.shape)[..., None]
    return Predictions(labels.names, labels.keypoints + step, np.full(labels.visible.shape, score))


# The plain protocol


@pytest.mark.parametrize(("pixels", "expected"), [(0, [100, 100, 100]), (4, [0, 100, 100]), (9.9, [0, 0, 100])])
def test_pck_of_a_known_displacement(pixels: float, expected: list[float]):
    labels = some_labels(7, side=100)  # thresholds 2.5, 5 and 10 pixels
    table = veri_pck(labels, moved(labels, pixels))
    for threshold, rate in zip((0.025, 0.05, 0.1), expected, strict=True):
        assert table[f"PCK@{threshold:g}"] == dict.fromkeys([*COLUMNS[:6], "Mean"], rate)
    # The curve is 0 up to the displacement and 100 beyond: its area is what is left of 0…10 pixels.
    assert table["AUC"]["Mean"] == pytest.approx(100 - 10 * pixels)


def test_the_border_of_a_threshold_is_inside():
    labels = some_labels(3, side=64)
    found = Predictions(labels.names, labels.keypoints + [8.0, 0.0], np.ones((3, 36)))  # 8 / 64 is exact in binary
    assert veri_pck(labels, found, thresholds=(0.125,))["PCK@0.125"]["Mean"] == 100
    assert veri_pck(labels, found, thresholds=(0.1249,))["PCK@0.1249"]["Mean"] == 0


def test_hidden_keypoints_and_scores_do_not_count():
    labels = some_labels(9)
    found = moved(labels, np.where(labels.visible, 0, 1000), score=-50)
    assert veri_pck(labels, found)["PCK@0.025"]["Mean"] == 100


def test_each_image_is_measured_by_its_own_box_over_all_keypoints():
    small, large = some_labels(1, side=20), some_labels(1, side=200)
    labels = VeriLabels(
        ["s", "l"], np.concatenate([small.sizes, large.sizes]),
        np.concatenate([small.keypoints, large.keypoints]), np.concatenate([small.visible, large.visible]),
    )  # fmt: skip
    found = moved(labels, 5)  # a quarter of the small box, a fortieth of the large one
    assert veri_pck(labels, found)["PCK@0.05"]["Mean"] == 50
    corners = labels.visible.copy()
    corners[:, [3, 30]] = False  # the box stays although the keypoints that span it are hidden
    hidden = replace(labels, visible=corners)
    assert veri_pck(hidden, found)["PCK@0.05"]["Mean"] == 50


def test_groups_and_mean_weight_each_keypoint_by_its_visible_count():
    labels = some_labels(10)
    labels.visible[:] = True
    labels.visible[1:, 1] = False  # keypoint 1 counts once, 0, 18 and 19 ten times each
    pixels = np.zeros((10, 36))
    pixels[:, 1] = 50
    table = veri_pck(labels, moved(labels, pixels))
    assert table["PCK@0.1"]["Wheel"] == pytest.approx(100 * 30 / 31)
    assert table["PCK@0.1"]["Fender"] == 100
    assert table["PCK@0.1"]["Mean"] == pytest.approx(100 * 350 / 351)


def test_a_keypoint_that_is_never_visible_is_left_out():
    labels = some_labels(5)
    labels.visible[:, [0, 1, 18, 19]] = False
    table = veri_pck(labels, exact(labels))
    assert math.isnan(table["PCK@0.1"]["Wheel"]) and math.isnan(table["AUC"]["Wheel"])
    assert table["PCK@0.1"]["Mean"] == table["AUC"]["Mean"] == 100


def test_the_area_is_that_under_the_curve():
    labels = some_labels(40)
    found = moved(labels, np.random.default_rng(3).uniform(0, 15, labels.visible.shape))
    distance = metrics.normalised_distances(labels, found)
    grid = np.linspace(0, 0.1, 20_001)
    curve = metrics.pooled(metrics.rates(distance, labels.visible, grid), labels.visible)
    assert (np.diff(curve) >= 0).all()
    assert curve.mean() == pytest.approx(veri_pck(labels, found)["AUC"]["Mean"], abs=0.02)
    # A distance uniform in 0…15 pixels is below t pixels with probability t / 15: the area is a third.
    assert veri_pck(labels, found)["AUC"]["Mean"] == pytest.approx(100 / 3, abs=4)


def test_a_data_set_scores_as_its_label_file(tmp_path: Path):
    data = write_veri(tmp_path / "data", test=8)
    labels, dataset = read_labels(data / "annot" / "label_test.csv"), VERI.read(data, "test")
    labels.visible[0], dataset.visible[0] = True, True
    found = moved(labels, np.random.default_rng(2).uniform(0, 6, labels.visible.shape), score=0.8)
    assert veri_pck(labels, found) == veri_pck(dataset, found)
    assert veri_published_table(labels, found) == veri_published_table(dataset, found)


def test_a_box_without_area_counts_as_missed():
    labels = some_labels(2)
    labels.keypoints[0] = 5.0
    assert veri_pck(replace(labels, visible=np.ones((2, 36), bool)), exact(labels))["PCK@0.1"]["Mean"] == 50


def test_what_is_not_a_number_is_missed():
    labels = some_labels(2)
    found = exact(labels)
    found.keypoints[:] = np.nan
    table = veri_pck(labels, found)
    assert table["PCK@0.1"]["Mean"] == table["AUC"]["Mean"] == 0
    assert veri_published_table(labels, found)["Mean"] == 0


# The published evaluator


def published(labels: VeriLabels, found: Predictions) -> list[float]:
    """The published arithmetic written out as loops: an independent statement of it."""
    count = len(labels.names)
    unit = 0.25 * math.sqrt(sum(1.0 for _ in range(count)))
    wide, tight, seen = [], [], []
    for k in range(36):
        ratios = []
        for n in range(count):
            if labels.visible[n, k]:
                dx, dy = np.float32(found.keypoints[n, k]) - labels.keypoints[n, k]
                ratios.append(math.sqrt(dx * dx + dy * dy + float(np.float32(found.scores[n, k]) - 1.0) ** 2) / unit)
        wide.append(100 * sum(r <= 0.5 for r in ratios) / len(ratios))
        tight.append(100 * sum(r <= 0.11 for r in ratios) / len(ratios))
        seen.append(len(ratios))
    groups = [sum(wide[k] for k in keypoints) / len(keypoints) for keypoints in VEHICLE.groups.values()]
    means = [sum(r * s for r, s in zip(rates, seen, strict=True)) / sum(seen) for rates in (wide, tight)]
    return groups + means


@pytest.mark.parametrize("count", [1, 5, 64])
def test_seed_table_agrees_with_a_plain_statement_of_it(count: int):
    labels = some_labels(count)
    rng = np.random.default_rng(count)
    found = moved(labels, rng.uniform(0, 0.25 * math.sqrt(count), labels.visible.shape))
    found.scores[:] = rng.uniform(0.2, 1.1, found.scores.shape)
    table = veri_published_table(labels, found)
    assert list(table) == COLUMNS
    assert list(table.values()) == pytest.approx(published(labels, found), abs=1e-10)


def at_the_border(truth: np.ndarray, limits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each point (N, K, 2) displaced along an axis by a limit (N,), exactly or to the next number on either side, of
    float64 or float32."""
    axis, sign = rng.integers(0, 2, truth.shape[:2]), rng.choice([-1.0, 1.0], truth.shape[:2])
    step = np.where(np.arange(2) == axis[..., None], (sign * limits[:, None])[..., None], 0.0)
    points = truth + step
    toward = points + rng.choice([0.0, -1.0, 1.0], truth.shape)
    singles = np.nextafter(points.astype(np.float32), toward.astype(np.float32))
    return np.where(rng.random(truth.shape) < 0.5, np.nextafter(points, toward), singles)


def published_table(labels_file: Path, predictions_file: Path) -> list[float]:
    """The published evaluator from the files: what it casts to whole numbers and float32, and the order of its sums."""
    with labels_file.open() as stream:
        rows = {row[0]: [int(float(cell)) for cell in row[3:]] for row in csv.reader(stream)}
    with predictions_file.open() as stream:
        found = {row[0]: np.array(list(map(float, row[1:])), np.float32) for row in csv.reader(stream)}
    unit = np.linalg.norm([1.0] * len(rows)) * 0.25
    right, seen = np.zeros((2, 36)), np.zeros(36)
    for name, cells in rows.items():
        for k in range(36):
            truth = np.array(cells[3 * k : 3 * k + 3])
            if truth[2]:
                seen[k] += 1
                distance = np.linalg.norm(found[name][3 * k : 3 * k + 3] - truth) / unit
                right[:, k] += distance <= 0.5, distance <= np.arange(0, 0.51, 0.01)[11]
    rates = 100.0 * right / seen
    groups = [sum(rates[0][k] for k in keypoints) * (1.0 / len(keypoints)) for keypoints in VEHICLE.groups.values()]
    return [*groups, *((rate * (seen / seen.sum())).sum() for rate in rates)]


@pytest.mark.parametrize(("count", "share"), [(1024, 0.125), (1024, 0.0275), (1060, 0.125), (999, 0.0275)])
def test_keypoints_exactly_on_a_threshold_fall_as_in_the_published_evaluator(tmp_path: Path, count: int, share: float):
    """Fractional labels, which it cuts to whole numbers, and predictions to the last digit give the same figures."""
    labels, rng = some_labels(count), np.random.default_rng(count)
    points = at_the_border(labels.keypoints, np.full(count, share * math.sqrt(count)), rng)
    scores = np.where(rng.random((count, 36)) < 0.9, 1.0, rng.uniform(0.9, 1.1, (count, 36)))
    truth = labels.keypoints + rng.choice([0.0, 0.5, 1 - 1e-12], labels.keypoints.shape)
    files = tmp_path / "labels.csv", tmp_path / "found.csv"
    for path, values in (
        (files[0], np.dstack([truth, labels.visible])), (files[1], np.dstack([points, scores])),
    ):  # fmt: skip
        start = ",150,150" if path == files[0] else ""
        rows = (f"{name}{start},{','.join(map(repr, row))}" for name, row in zip(
            labels.names, values.reshape(count, -1).tolist(), strict=True))  # fmt: skip
        path.write_text("\n".join(rows))
    table = score_file(VERI, *files, "published", "test").rows[""]
    assert list(table.values()) == published_table(*files)
    assert 5 < table["Mean" if share == 0.125 else "Mean@0.1"] < 95  # some keypoints fall on either side


@pytest.mark.parametrize(("count", "pixels"), [(16, 0.5), (64, 1.0), (1060, 0.125 * math.sqrt(1060))])
def test_the_seed_threshold_is_an_eighth_of_the_root_of_the_number_of_images(count: int, pixels: float):
    labels = some_labels(count)
    assert veri_published_table(labels, moved(labels, pixels * 0.999))["Mean"] == pytest.approx(100)
    assert veri_published_table(labels, moved(labels, pixels * 1.001))["Mean"] == 0


def test_mean_at_a_tenth_is_read_at_eleven_hundredths_unless_switched_off():
    labels = some_labels(64)  # 0.11 of the unit 0.25 * 8 is 0.22 pixels, 0.10 of it 0.20
    assert veri_published_table(labels, moved(labels, 0.219))["Mean@0.1"] == pytest.approx(100)
    assert veri_published_table(labels, moved(labels, 0.221))["Mean@0.1"] == 0
    plain = replace(AS_PUBLISHED, late_index=False)
    assert veri_published_table(labels, moved(labels, 0.199), plain)["Mean@0.1"] == pytest.approx(100)
    assert veri_published_table(labels, moved(labels, 0.201), plain)["Mean@0.1"] == 0


def test_the_score_enters_the_distance_unless_switched_off():
    labels = some_labels(16)  # threshold 0.5 pixels
    found = moved(labels, 0.4, score=0.69)  # √(0.4² + 0.31²) = 0.506
    assert veri_published_table(labels, found)["Mean"] == 0
    assert veri_published_table(labels, moved(labels, 0.4, score=0.71))["Mean"] == pytest.approx(
        100
    )  # √(0.4² + 0.29²) = 0.494
    assert veri_published_table(labels, found, replace(AS_PUBLISHED, third_column=False))["Mean"] == pytest.approx(100)


def test_boxes_have_their_area_and_each_image_its_own_when_switched_off():
    labels = some_labels(16, side=80)
    own = replace(AS_PUBLISHED, unit_area=False, norm_over_images=False)  # an eighth of 80: 10 pixels
    assert veri_published_table(labels, moved(labels, 9.99), own)["Mean"] == pytest.approx(100)
    assert veri_published_table(labels, moved(labels, 10.01), own)["Mean"] == 0
    joint = replace(AS_PUBLISHED, unit_area=False)  # √(16 * 80²) / 8: 40 pixels
    assert veri_published_table(labels, moved(labels, 39.9), joint)["Mean"] == pytest.approx(100)
    assert veri_published_table(labels, moved(labels, 40.1), joint)["Mean"] == 0
    unit = replace(AS_PUBLISHED, norm_over_images=False)  # an eighth of a pixel
    assert veri_published_table(labels, moved(labels, 0.124), unit)["Mean"] == pytest.approx(100)
    assert veri_published_table(labels, moved(labels, 0.126), unit)["Mean"] == 0


def test_without_quirks_the_seeds_rate_is_the_plain_one():
    labels = some_labels(50)
    found = moved(labels, np.random.default_rng(5).uniform(0, 30, labels.visible.shape), score=0.3)
    plain = veri_pck(labels, found, thresholds=(0.125, 0.025))
    table = veri_published_table(labels, found, PLAIN)
    groups = {name: rate for name, rate in table.items() if name != "Mean@0.1"}
    assert groups == pytest.approx(plain["PCK@0.125"], abs=1e-4)
    assert table["Mean@0.1"] == pytest.approx(plain["PCK@0.025"]["Mean"], abs=1e-4)


def test_a_group_is_the_mean_of_its_keypoints_rates_unless_switched_off():
    labels = some_labels(10)
    labels.visible[:] = True
    labels.visible[1:, 1] = False  # keypoint 1 counts once, and is missed then; 0, 18 and 19 ten times each
    found = moved(labels, np.where(np.arange(36) == 1, 50, 0))
    assert veri_published_table(labels, found)["Wheel"] == 75
    table = veri_published_table(labels, found, replace(AS_PUBLISHED, keypoint_means=False))
    assert (
        table["Wheel"] == pytest.approx(100 * 30 / 31) and table["Mean"] == veri_published_table(labels, found)["Mean"]
    )


def test_a_keypoint_that_is_never_visible_is_left_out_when_switched_off():
    labels = some_labels(4)
    labels.visible[:, 0] = False
    table = veri_published_table(labels, exact(labels), replace(AS_PUBLISHED, nan_unseen=False))
    assert table == dict.fromkeys(COLUMNS, 100)
    labels.visible[:, [1, 18, 19]] = False
    assert math.isnan(veri_published_table(labels, exact(labels), replace(AS_PUBLISHED, nan_unseen=False))["Wheel"])


def test_sorted_rows_meet_the_wrong_images_of_a_label_file_in_another_order():
    labels = some_labels(5)
    labels.visible[:] = True
    labels.keypoints[:] += 1000 * np.arange(5)[:, None, None]
    turned = VeriLabels(labels.names[::-1], labels.sizes, labels.keypoints[::-1], labels.visible)
    quirks = replace(AS_PUBLISHED, sorted_rows=True)
    assert veri_published_table(labels, exact(labels), quirks)["Mean"] == pytest.approx(100)
    assert veri_published_table(turned, exact(turned), quirks)["Mean"] == pytest.approx(20)  # the middle row stays
    assert veri_published_table(turned, exact(turned))["Mean"] == pytest.approx(100)


def test_the_walk_goes_from_the_published_figures_to_the_plain_ones():
    labels = some_labels(50)
    found = moved(labels, np.random.default_rng(5).uniform(0, 30, labels.visible.shape), score=0.3)
    walk = veri_walk(labels, found)
    published_table = veri_published_table(labels, found, replace(AS_PUBLISHED, drop_remainder=32))
    plain = veri_pck(labels, found, thresholds=(0.125, 0.025))
    assert list(walk[0][1].values()) == [published_table["Mean"], published_table["Mean@0.1"]]
    expected = [plain["PCK@0.125"]["Mean"], plain["PCK@0.025"]["Mean"]]
    assert list(walk[-1][1].values()) == pytest.approx(expected, abs=1e-4)
    after_remainder = veri_published_table(labels, found)
    assert list(walk[1][1].values()) == pytest.approx([after_remainder["Mean"], after_remainder["Mean@0.1"]])


def test_a_dropped_remainder_keeps_zeros():
    labels = some_labels(10)
    labels.visible[:] = True
    shuffled = VeriLabels(labels.names[::-1], labels.sizes, labels.keypoints[::-1], labels.visible)
    assert veri_published_table(labels, exact(labels), Quirks(drop_remainder=4))["Mean"] == pytest.approx(80)
    assert veri_published_table(shuffled, exact(shuffled), Quirks(drop_remainder=4))["Mean"] == pytest.approx(80)
    assert veri_published_table(labels, exact(labels), Quirks(drop_remainder=5))["Mean"] == pytest.approx(100)
    found = moved(labels, np.where(np.arange(10) >= 8, 1000, 0)[:, None])  # the two that are dropped, by name
    assert veri_published_table(labels, found, Quirks(drop_remainder=4))["Mean"] == pytest.approx(80)


def test_a_keypoint_that_is_never_visible_makes_the_seeds_mean_nan():
    labels = some_labels(4)
    labels.visible[:, 0] = False
    table = veri_published_table(labels, exact(labels))
    assert math.isnan(table["Wheel"]) and math.isnan(table["Mean"]) and table["Fender"] == 100


def flat(table: dict) -> list[float]:
    return [x for value in table.values() for x in (value.values() if isinstance(value, dict) else [value])]


@pytest.mark.parametrize("protocol", [veri_published_table, veri_pck])
def test_rows_may_come_in_any_order(protocol):
    labels = some_labels(30)
    found = moved(labels, np.random.default_rng(7).uniform(0, 2, labels.visible.shape), score=0.9)
    order = np.random.default_rng(8).permutation(30)
    shuffled = Predictions([found.names[i] for i in order], found.keypoints[order], found.scores[order])
    assert protocol(labels, shuffled) == protocol(labels, found)
    other = VeriLabels([labels.names[i] for i in order], labels.sizes, labels.keypoints[order], labels.visible[order])
    assert flat(protocol(other, found)) == pytest.approx(flat(protocol(labels, found)))


@pytest.mark.parametrize("protocol", [veri_published_table, veri_pck])
def test_predictions_of_other_images_are_refused(protocol):
    labels = some_labels(4)
    found = exact(some_labels(5))
    with pytest.raises(InputError, match="000004.jpg"):
        protocol(labels, found)
    with pytest.raises(InputError, match="1 of 5 samples are missing"):
        protocol(some_labels(5), exact(labels))


def cell_quantised(labels: VeriLabels) -> Predictions:
    """What a perfect network gives: each keypoint in the 256-pixel crop, rounded to one of 64 x 64 cells and back."""
    center, side = labels.sizes[:, None] / 2, labels.sizes.max(axis=1)[:, None, None] * 1.25
    inside = (labels.keypoints - center) * 256 / side + 128
    cell = np.clip(np.floor(inside / 4 + 0.5), 0, 63)
    return Predictions(labels.names, (cell - 32) * side / 64 + center, np.ones(labels.visible.shape))


@real_labels
def test_oracle_figures_on_the_published_test_labels():
    labels = read_labels(Path(os.environ["POSEKIT_ANNOTATIONS"]) / "veri_label_test.csv")
    table = veri_published_table(labels, cell_quantised(labels))
    expected = [94.279, 96.269, 95.953, 96.094, 96.739, 96.385, 96.651, 18.886]
    assert [round(value, 3) for value in table.values()] == expected
    assert list(table.values()) == pytest.approx(published(labels, cell_quantised(labels)), abs=1e-10)


@real_labels
def test_the_shipped_test_loader_loses_four_images():
    labels = read_labels(Path(os.environ["POSEKIT_ANNOTATIONS"]) / "veri_label_test.csv")
    table = veri_published_table(labels, exact(labels), Quirks(drop_remainder=32))
    assert table["Mean"] == pytest.approx(100 * (1 - labels.visible[-4:].sum() / labels.visible.sum()))
    assert round(table["Mean"], 2) == 99.61


def test_the_table_prints_as_the_seeds_does():
    text = metrics.markdown_table({"pose_hrnet": {"Wheel": 85.3344, "Mean": 82.3236}})
    assert text == "| Arch | Wheel | Mean |\n| --- | --- | --- |\n| pose_hrnet | 85.334 | 82.324 |"


@pytest.mark.slow
def test_scoring_needs_no_mindspore():
    code = "import sys, posekit.evaluation.metrics, posekit.datasets; assert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_scoring_is_quick_and_lean(tmp_path: Path):
    """100,000 rows in a process of their own."""
    labels = some_labels(100_000)
    rows = np.dstack([labels.keypoints, labels.visible]).reshape(100_000, -1).astype(int)
    lines = (
        f"{name},120,120,{','.join(map(str, row))}\n" for name, row in zip(labels.names, rows.tolist(), strict=True)
    )
    (tmp_path / "labels.csv").write_text("".join(lines))
    write_predictions(tmp_path / "p.csv", moved(labels, 1.5))
    code = (
        "import re, sys, time; from pathlib import Path; from posekit.cli.main import main\ntry: main()\nfinally: "
        # not getrusage: its peak is at least that of the process that forked this one
        "peak = re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1]; "
        "print(int(peak) // 1024, time.process_time(), file=sys.stderr)"
    )
    command = ["score", "veri", str(tmp_path / "labels.csv"), "--predictions", str(tmp_path / "p.csv")]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    megabytes, seconds = map(float, done.stderr.split()[-2:])
    assert megabytes < 1000 and seconds < 10
