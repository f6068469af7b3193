"""Re-identification data: what is in the files, and that nothing can lose, mix or repeat it."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from polygons import depth
from reid_files import LEVELS, NAMES, cells, image_size, keypoints, oracle, peaks, write_data

from posekit.errors import InputError, Stopped
from posekit.inference.predictors import Predictor
from posekit.inference.run_times import Request, load_predictor
from posekit.recipes import get_recipe
from posekit.reid.segments import is_convex, segment_maps
from posekit.reid.write import heatmap_pictures, write_reid
from posekit.skeletons import PERSON, VEHICLE

ROOT = Path(__file__).parents[1]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# Heatmaps


def test_a_heatmap_of_64_is_only_scaled():
    maps = np.random.default_rng(0).uniform(-0.2, 1.2, (3, 64, 64)).astype(np.float32)
    found = heatmap_pictures(maps)
    for k, y, x in np.ndindex(3, 64, 64):
        assert found[k, y, x] == min(255, max(0, int(maps[k, y, x] * 255)))


@pytest.mark.parametrize("size", [16, 24, 32])
def test_a_smaller_heatmap_keeps_its_places(size: int):
    """A plane stays that plane, and the peak of a Gaussian in cell c comes to 64 c / size."""
    y, x = np.mgrid[:size, :size] / size
    found = heatmap_pictures(np.stack([0.2 + 0.5 * x + 0.2 * y]))
    rows, columns = np.mgrid[:64, :64] / 64
    within = (rows <= (size - 1) / size) & (columns <= (size - 1) / size)
    assert np.abs(found[0] - 255 * (0.2 + 0.5 * columns + 0.2 * rows))[within].max() <= 1.01
    gauss = np.exp(-((np.arange(size) - 5) ** 2) / 4.5)
    peak = heatmap_pictures(np.outer(gauss, gauss)[None])[0]
    assert np.unravel_index(peak.argmax(), peak.shape) == pytest.approx((5 * 64 / size, 5 * 64 / size), abs=0.7)


# The files


ROWS = {"test": [220, 40, 100, 40, 20, 160, 40, 60, 200], "query": [80, 20]}  # in no order, with repetitions


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("multitask"), ROWS)


def test_the_table_says_what_the_network_found(data: Path, tmp_path: Path):
    assert write_reid(oracle(), data, ["test", "query"], tmp_path) == {"test": 9, "query": 2}
    for split, levels in ROWS.items():
        lines = (tmp_path / f"pose_{split}.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == [NAMES[level] for level in levels]
        for line, level in zip(lines, levels, strict=True):
            assert re.fullmatch(r"[^,]+(,-?\d+\.\d{3}){108}", line)
            values = np.array(line.split(",")[1:], float).reshape(36, 3)
            np.testing.assert_allclose(values[:, :2], keypoints(level), atol=6e-4)
            np.testing.assert_allclose(values[:, 2], peaks(level), atol=1e-9)


def test_the_pictures_are_where_multitasknet_looks(data: Path, tmp_path: Path):
    """Read as its data loader does; against the known cells and the half-planes of the known corners."""
    write_reid(oracle(), data, ["test"], tmp_path)
    for level in set(ROWS["test"]):
        width, height = image_size(level)
        for k in range(36):
            path = tmp_path / "heatmap_test" / NAMES[level][:-4] / f"{k:02d}.jpg"
            heatmap = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            assert heatmap.shape == (64, 64) and path.read_bytes()[:2] == b"\xff\xd8"
            assert np.abs(np.argwhere(heatmap == heatmap.max()).mean(0) - 4 * cells(level)[k, ::-1]).max() < 1.5
            assert abs(int(heatmap.max()) - 255 * peaks(level)[k]) < 8
        for number, segment in enumerate(VEHICLE.segments):
            path = tmp_path / "segment_test" / NAMES[level][:-4] / f"{number:02d}.jpg"
            found = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            quad = keypoints(level)[list(segment)]
            if is_convex(np.rint(quad).astype(int)):
                y, x = np.mgrid[:64, :64]
                inside = depth(quad, np.stack([(x + 0.5) * width / 64 - 0.5, (y + 0.5) * height / 64 - 0.5], -1))
                sure = np.abs(inside) > 5  # JPEG rings
                assert np.abs(found - np.where(inside > 0, 255.0, 0))[sure].max() < 50
            else:
                assert not found.any()
    files = contents(tmp_path)
    assert len(files) == 2 + 49 * len(set(ROWS["test"])) and set(tmp_path.iterdir()) == {
        tmp_path / name for name in ("heatmap_test", "segment_test", "pose_test.csv", "reid.json")
    }


def test_lossless_pictures_are_the_maps_themselves(data: Path, tmp_path: Path):
    write_reid(oracle(), data, ["query"], tmp_path, lossless=True)
    for line in (tmp_path / "pose_query.csv").read_text().splitlines():
        name, *values = line.split(",")
        level = int(name[:4])
        expected = segment_maps(np.array(values, float).reshape(36, 3)[:, :2], *image_size(level), VEHICLE)
        folder = tmp_path / "segment_query" / name[:-4]
        assert sorted(path.name for path in folder.iterdir()) == [f"{n:02d}.png" for n in range(13)]
        for number, picture in enumerate(expected):
            stored = cv2.imread(str(folder / f"{number:02d}.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(stored, picture)


def test_a_threshold_decides_once_and_for_all(data: Path, tmp_path: Path):
    write_reid(oracle(), data, ["test"], tmp_path / "plain", lossless=True)
    write_reid(oracle(), data, ["test"], tmp_path / "cut", threshold=0.3, lossless=True)
    closed = 0
    for line in (tmp_path / "cut" / "pose_test.csv").read_text().splitlines():
        name, *values = line.split(",")
        assert [float(v) for v in values[2::3]] == [float(peak >= 0.3) for peak in peaks(int(name[:4]))]
        for number, segment in enumerate(VEHICLE.segments):
            plain, cut = (
                cv2.imread(str(tmp_path / kind / "segment_test" / name[:-4] / f"{number:02d}.png"), -1)
                for kind in ("plain", "cut")
            )
            open_ = peaks(int(name[:4]))[list(segment)].min() >= 0.3
            assert not cut.any() if not open_ else (cut == plain).all()
            closed += plain.any() and not open_
    assert closed, "the example has segments to close"


def test_the_order_of_the_label_file_and_the_batch_change_no_row(data: Path, tmp_path: Path):
    write_reid(oracle(batch=4), data, ["test"], tmp_path / "a")
    other = write_data(tmp_path / "sorted", {"test": sorted(ROWS["test"])})
    write_reid(oracle(batch=7), other, ["test"], tmp_path / "b")
    one, two = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert sorted(one.pop("pose_test.csv").splitlines()) == two.pop("pose_test.csv").splitlines()
    assert one == two


# Going on


class Interrupted(Exception):
    pass


def breaking(after: int, seen: list[int]) -> Predictor:
    """The oracle, which fails when it is asked for more than `after` batches."""
    whole = oracle(seen=seen)

    def run(images: np.ndarray) -> np.ndarray:
        if len(seen) >= after * whole.batch:
            raise Interrupted
        return whole.run(images)

    return replace(whole, run=run)


@pytest.mark.parametrize("torn", ["", "0040_c001_40.png,12.000,13"], ids=["between rows", "in a row"])
def test_an_interrupted_run_goes_on(data: Path, tmp_path: Path, torn: str):
    """To the result of an uninterrupted one, without asking the network again for what it had answered."""
    seen: list[int] = []
    with pytest.raises(Interrupted):
        write_reid(breaking(1, seen), data, ["test"], tmp_path / "out")
    part = tmp_path / "out" / "pose_test.csv.part"
    assert not (tmp_path / "out" / "pose_test.csv").exists() and len(part.read_text().splitlines()) == 4
    lines = part.read_text().splitlines(keepends=True)
    part.write_text("".join(lines[:3]) + torn)  # as if killed while the last row was written
    (tmp_path / "out" / ".partial-test").mkdir()
    (tmp_path / "out" / ".partial-test" / "00.jpg").touch()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "heatmap_test").rglob("*.jpg")}
    again: list[int] = []
    assert write_reid(oracle(seen=again), data, ["test"], tmp_path / "out") == {"test": 6}
    assert again == [40, 40, 40, 40, 20, 160, 40, 60, 200, 200, 200, 200], "row 3 in its place, then two batches"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    write_reid(oracle(), data, ["test"], tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert write_reid(breaking(0, []), data, ["test"], tmp_path / "out") == {"test": 0}, "there is nothing left to do"


def test_ctrl_c_says_how_to_go_on(data: Path, tmp_path: Path):
    def stopping(images: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(Stopped, match="stopped; the same command goes on"):
        write_reid(replace(oracle(), run=stopping), data, ["test"], tmp_path)
    assert not list(tmp_path.glob(".partial*")) and write_reid(oracle(), data, ["test"], tmp_path) == {"test": 9}


def test_rows_added_to_the_label_file_are_added(tmp_path: Path):
    """In the data set's own folder, where MultiTaskNet wants them."""
    write_data(tmp_path, {"test": [40, 20]})
    write_reid(oracle(), tmp_path, ["test"], tmp_path)
    write_data(tmp_path, {"test": [40, 20, 60]})
    assert write_reid(oracle(), tmp_path, ["test"], tmp_path) == {"test": 1}
    assert len((tmp_path / "pose_test.csv").read_text().splitlines()) == 3


def test_memory_does_not_grow_with_the_images(tmp_path: Path):
    peak = {}
    for rows in (22, 165):
        data = write_data(tmp_path / f"data{rows}", {"test": [*LEVELS] * (rows // len(LEVELS))})
        tracemalloc.start()
        write_reid(oracle(), data, ["test"], tmp_path / f"out{rows}")
        peak[rows] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak[165] < peak[22] + 4_000_000  # threads differ by one; the heatmaps of 143 images take 10,500,000 bytes


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_command_goes_on_where_it_was(tiny_run: Path, tiny_vehicles: Path, tmp_path: Path):
    """The real command, killed among the files it writes; the rest and the reference are computed in this process."""
    data, count = tmp_path / "data", 120
    pictures = sorted((tiny_vehicles / "images" / "image_test").iterdir())
    (data / "image_query").mkdir(parents=True)
    names = [f"{number:04d}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        os.link(pictures[number % len(pictures)], data / "image_query" / name)
    (data / "label_query.csv").write_text("".join(f"{name},1,2,3\n" for name in names))
    out = tmp_path / "out"
    model, call = tiny_run / "best.ckpt", "from posekit.cli.main import main; main()"
    command = [sys.executable, "-c", call, "reid", model, "--data", data, "--splits", "query", "--out", out]
    command += ["--device", "cpu"]
    part = out / "pose_query.csv.part"
    process = subprocess.Popen([*map(str, command)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 240
    while not part.exists() or part.stat().st_size < 15_000:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = part.read_bytes().count(b"\n")
    assert 10 < done < count and not (out / "pose_query.csv").exists()
    finished = [path for name in names[:done] for path in (out / "heatmap_query" / name[:-4]).iterdir()]
    assert len(finished) == 36 * done
    before = {path: path.stat().st_mtime_ns for path in finished}
    predictor, digest = load_predictor(Request(model, "cpu")), hashlib.sha256(model.read_bytes()).hexdigest()
    assert write_reid(predictor, data, ["query"], out, model=digest) == {"query": count - done}
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    write_reid(predictor, data, ["query"], tmp_path / "whole", model=digest)
    (out / ".lock").unlink(missing_ok=True)  # whoever is killed leaves its name behind; it holds nobody off
    assert contents(out) == contents(tmp_path / "whole")
    assert {path.name for path in out.iterdir()} == {"pose_query.csv", "heatmap_query", "segment_query", "reid.json"}


# What is refused


def test_other_settings_do_not_mix(data: Path, tmp_path: Path):
    write_reid(oracle(), data, ["query"], tmp_path, model="a")
    for change, was in (({"model": "b"}, "model was a, now it is b"), ({"threshold": 0.3}, "threshold was None")):
        with pytest.raises(InputError, match=f"made otherwise .{was}.*choose another --out"):
            write_reid(oracle(), data, ["query"], tmp_path, **{"model": "a", **change})
    assert json.loads((tmp_path / "reid.json").read_text())["model"] == "a"


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_note_is_named(data: Path, tmp_path: Path, text: str):
    (tmp_path / "reid.json").write_text(text)
    with pytest.raises(InputError, match="reid.json: .*make the data again in another --out"):
        write_reid(oracle(), data, ["query"], tmp_path)


def test_what_somebody_else_made_is_left_alone(data: Path, tmp_path: Path):
    (tmp_path / "segment_query").mkdir()
    with pytest.raises(InputError, match="segment_query: is there, but not from posekit reid"):
        write_reid(oracle(), data, ["query"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["segment_query"]
    write_reid(oracle(), data, ["test"], tmp_path)
    with pytest.raises(InputError, match="segment_query: is there"):
        write_reid(oracle(), data, ["query"], tmp_path)


def test_a_label_file_that_changed(tmp_path: Path):
    data = write_data(tmp_path / "data", {"test": [40, 20]})
    write_reid(oracle(), data, ["test"], tmp_path / "out")
    before = contents(tmp_path / "out")
    write_data(data, {"test": [40, 60, 20]})
    with pytest.raises(InputError, match=r"pose_test.csv: row 2: 0020_c001_20.png is not that row of label_test.csv"):
        write_reid(oracle(), data, ["test"], tmp_path / "out")
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("", "label_test.csv: the file is empty; it should hold one row per image, its name first"),
        ("0020_c001_20.png,1\n../a.jpg,1\n", "label_test.csv: row 2: '../a.jpg' is not a plain file name"),
        ("a.jpeg,1\n", "row 1: 'a.jpeg': MultiTaskNet takes the last four letters for the suffix"),
        ("0020_c001_20.png,1\n0020_c001_20.jpg\n", "row 2: '0020_c001_20.jpg' would share its folder with 0020_c"),
        ('"a,b.jpg",1\n', "row 1: 'a,b.jpg'"),
        ('"a""b.jpg",1\n', "row 1: 'a\"b.jpg'"),
        ("<html>\n", "label_test.csv: row 1: '<html>'"),
        ("x" * 100_000 + ",1\n", f"row 1: '{'x' * 80}'… (100,000 characters) is not a plain file name"),
        ('"a.jpg,1\n', "label_test.csv: row 1: not csv (unexpected end of data)"),
        (
            "0020_c001_20.png,1\n0020_c001_20.png\n",
            "label_test.csv: row 2: 1 column where 2 are expected; fix or remove the row",
        ),
        (
            "0020_c001_20.png,1,2,3" + ",0,0,1" * 36 + "0020_c001_20.png,1,2,3" + ",0,0,1" * 36 + "\n",
            "label_test.csv: row 1: 223 columns where 112 are expected; fix the row",
        ),
        (
            "0020_c001_20.png,1,2\n0020_c001_20.png,1,2,3" + ",0,0,1" * 36 + "\n",
            "label_test.csv: row 1: 3 columns where 112 are expected; fix the row",
        ),
        ("0020_c001_20.png,1,2,3,0,0,1\n", "label_test.csv: row 1: 7 columns where 112 are expected; fix the row"),
        ("0020_c001_20.png,1,\n", "label_test.csv: row 1, column 3: '' is not a number; fix the row"),
        ("0020_c001_20.png,1\nother.jpg,1\n", "image_test: 1 of 2 images are missing, the first is other.jpg"),
    ],
)
def test_label_files_that_cannot_be(data: Path, tmp_path: Path, label: str, message: str):
    folder = write_data(tmp_path / "data", {"test": [20]})
    (folder / "label_test.csv").write_text(label)
    with pytest.raises(InputError, match=re.escape(message)):
        write_reid(oracle(), folder, ["test"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_splits_and_skeletons_that_cannot_be(data: Path, tmp_path: Path):
    with pytest.raises(InputError, match="looked for label_train.csv, found .*label_query.csv.*other --splits"):
        write_reid(oracle(), data, ["query", "train"], tmp_path / "out")
    people = Predictor(get_recipe("hourglass-tiny"), PERSON, oracle().run, 4)
    with pytest.raises(InputError, match="hourglass-tiny finds person16, which has no segments"):
        write_reid(people, data, ["query"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_image_stops_the_run_by_name(tmp_path: Path):
    """What was computed before stays, and with the image mended the run goes on."""
    data = write_data(tmp_path / "data", {"test": [40, 60, 80, 100, 20, 120]})
    image = data / "image_test" / NAMES[20]
    whole = image.read_bytes()
    image.write_bytes(b"no image")
    with pytest.raises(InputError, match="0020_c001_20.png: not a readable image"):
        write_reid(oracle(), data, ["test"], tmp_path / "out")
    image.write_bytes(whole)
    assert write_reid(oracle(), data, ["test"], tmp_path / "out") == {"test": 2}


def test_heatmaps_that_are_not_numbers_write_no_row(data: Path, tmp_path: Path):
    predictor = oracle()
    broken = replace(predictor, run=lambda images: predictor.run(images) * np.nan)
    with pytest.raises(InputError, match=r"pose_query.csv: not written: 0080_c001_80.png has the value nan"):
        write_reid(broken, data, ["query"], tmp_path)
    assert (tmp_path / "pose_query.csv.part").read_text() == ""
