"""Rectangular inputs, from published COCO weights to keypoints, and from a training to an Ascend's files."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from networks import fresh

from posekit.datasets.dataset import PoseDataset, Sample
from posekit.datasets.pipeline import Augmentation, EvaluationBatches, TrainingBatches, crop
from posekit.deploy import infer310, parity
from posekit.deploy.ascend import converter_command
from posekit.deploy.export import export_model
from posekit.deploy.parity import largest_difference
from posekit.errors import InputError, Stopped
from posekit.evaluation.ablation import perfect_predictions
from posekit.evaluation.metrics import normalised_distances
from posekit.evaluation.protocols import evaluate
from posekit.evaluation.robustness import BOX_JITTER, changed
from posekit.figures import crops, diagrams, hourglass, poses
from posekit.figures.data import size_statistics
from posekit.figures.explorer import heatmap_picture, heatmaps_of, sample_picture
from posekit.geometry import fit_box, invert, transform_points
from posekit.inference.boxes import crop_box, predict_crops, whole
from posekit.inference.predictors import network_predictor, predict_dataset
from posekit.inference.run_times import Request, load_predictor
from posekit.layouts import get_layout, open_split
from posekit.models.checkpoint import load_network, read_checkpoint, save_checkpoint
from posekit.models.convert import from_published
from posekit.recipes import get_recipe
from posekit.reid.write import write_reid
from posekit.settings import override
from posekit.skeletons import COCO_PERSON, VEHICLE
from posekit.training.loop import run
from posekit.training.step import TrainStep
from posekit.training.torch_networks import HRNet, with_random_values

UPRIGHT = override(get_recipe("hourglass-tiny"), ["input_size=48,64", "heatmap_size=12,16", "epochs=3"])
LYING = override(get_recipe("poseestnet-tiny"), ["input_size=96,64", "heatmap_size=24,16"])


# Published networks, as their own code uses them


def their_keypoints(network: torch.nn.Module, image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, ...]:
    """By HRNet's rules for COCO at 256×192, of a box (x, y, w, h): keypoints (17, 2), the maps (17, 64, 48) that they
    were read from, and the map (2, 3) from cells to the image.

    The box grows to 3 : 4 and by 1.25. In the flip test the mirrored map goes a cell to the right. A keypoint is a
    quarter cell towards the higher neighbour; of a map without any positive value it is cell (0, 0).
    """
    x, y, w, h = box.astype(float)
    width = 1.25 * (w if w > 0.75 * h else 0.75 * h)
    center, size = np.array([x + w / 2, y + h / 2]), np.array([192, 256])
    three = np.array([[0, 0], [0, -1], [-1, -1]]) / 2  # the middle, above it, to the left of that; in widths
    source, target = center + three * width, size / 2 + three * 192
    matrix = cv2.getAffineTransform(source.astype(np.float32), target.astype(np.float32))
    cut = cv2.warpAffine(image, matrix, (192, 256), flags=cv2.INTER_LINEAR)
    values = (cut / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    images = torch.from_numpy(values.transpose(2, 0, 1)[None].astype(np.float32))
    with torch.no_grad():
        maps, mirrored = network(images)[0].numpy(), network(images.flip(3))[0].numpy()[..., ::-1]
    order = [0, *(k + 1 if k % 2 else k - 1 for k in range(1, 17))]  # nose, then pairs
    back = mirrored[order].copy()
    back[..., 1:] = back[..., :-1].copy()
    maps = (maps + back) / 2  # (17, 64, 48)
    points = np.zeros((17, 2))
    for k, values in enumerate(maps):
        if values.max() <= 0:
            continue
        row, column = np.unravel_index(values.argmax(), (64, 48))
        points[k] = column, row
        if 1 < column < 47 and 1 < row < 63:
            points[k, 0] += 0.25 * np.sign(values[row, column + 1] - values[row, column - 1])
            points[k, 1] += 0.25 * np.sign(values[row + 1, column] - values[row - 1, column])
    scale = width / 48  # image pixels a cell
    cells = np.column_stack([np.eye(2) * scale, center - np.array([24, 32]) * scale])
    return points @ cells[:, :2] + cells[:, 2], maps, cells


def test_a_published_coco_network_finds_its_own_codes_keypoints(tmp_path: Path):
    network = with_random_values(HRNet(17, 8, (1, 2, 1), 1), 5)
    path = tmp_path / "pose_hrnet_w8_256x192.pth"
    torch.save(network.state_dict(), path)
    from_published(path, tmp_path / "a.ckpt")
    predictor = load_predictor(Request(tmp_path / "a.ckpt", "cpu", batch=4))
    assert predictor.recipe.input_shape == (3, 256, 192) and predictor.recipe.heatmap_shape == (64, 48)
    rng = np.random.default_rng(6)
    image = cv2.GaussianBlur(rng.integers(0, 255, (300, 400, 3), np.uint8), (0, 0), 3) * 2
    boxes = np.array([[50, 20, 90, 250], [10, 100, 380, 120], [150, 60, 120, 160], [-20, -10, 100, 100]], np.float32)
    cuts = [crop_box(image, box, predictor.recipe, COCO_PERSON) for box in boxes]
    assert cuts[0].image.shape == (256, 192, 3)
    found, scores = predict_crops(predictor, cuts)
    for points, score, box in zip(found, scores, boxes, strict=True):
        wanted, maps, cells = their_keypoints(network, image, box)
        np.testing.assert_allclose(score, maps.max((1, 2)), rtol=1e-3)
        same = np.linalg.norm(points - wanted, axis=-1) < 1e-6
        assert same.mean() > 0.8
        columns, rows = np.round(transform_points(invert(cells), points)).astype(int).T
        tied = maps[np.arange(17), rows, columns]  # elsewhere only where two cells are as good as equal
        np.testing.assert_allclose(tied[~same], maps.max((1, 2))[~same], rtol=1e-3)


# Crops


def blots(points: np.ndarray) -> np.ndarray:
    """A white blot at every point (K, 2), on black, (200, 240, 3) uint8."""
    rows, columns = np.mgrid[:200, :240]
    square = (columns - points[:, 0, None, None]) ** 2 + (rows - points[:, 1, None, None]) ** 2
    return np.repeat((255 * np.exp(-square / 18).max(0))[..., None], 3, 2).astype(np.uint8)


@pytest.mark.parametrize("recipe", [UPRIGHT, LYING], ids=["upright", "lying"])
@pytest.mark.parametrize("box", [None, (100, 140)], ids=["square", "box"])
@pytest.mark.parametrize("flip", [False, True])
def test_keypoints_stay_on_their_pixels(flip, box, recipe):
    points = np.random.default_rng(1).uniform((90, 70), (140, 120), (36, 2)).astype(np.float32)
    size = None if box is None else np.array(box, np.float32)
    sample = Sample(blots(points), points, np.ones(36, bool), np.array([115, 95], np.float32), 140.0, VEHICLE, size)
    large = replace(recipe, input_size=tuple(4 * side for side in recipe.input_shape[:0:-1]),
                    heatmap_size=recipe.input_shape[:0:-1])  # fmt: skip
    cut = crop(sample, large, Augmentation(1.1, 25.0, flip))
    at = np.round(cut.keypoints).astype(int)
    assert cut.image.shape == (*large.input_shape[1:], 3)
    assert cut.image[at[:, 1], at[:, 0], 0].min() > 225


def test_a_data_set_keeps_its_boxes(tiny_vehicles: Path):
    """VeRi's are whole images; a lying crop of a lying image shows more of it, a square one what it always did."""
    dataset = open_split(LYING, tiny_vehicles, "train")
    some = dataset.take([5, 3])
    np.testing.assert_array_equal(some.box, dataset.box[[5, 3]])
    height, width = some.image(0).shape[:2]
    np.testing.assert_allclose(some[0].box, [1.25 * width, 1.25 * height])
    assert (
        some[0].box_size == pytest.approx(1.25 * max(width, height))
        and dataset.digest() == replace(dataset, box=None).digest()
    )
    cut = crop(some[0], LYING)
    box_width = max(1.25 * width, 1.25 * height * 96 / 64)
    assert np.sqrt(np.linalg.det(cut.matrix[:, :2])) == pytest.approx(96 / box_width, rel=1e-6)
    square = get_recipe("poseestnet-tiny")
    np.testing.assert_array_equal(crop(some[0], square).matrix, crop(replace(some[0], box=None), square).matrix)
    np.testing.assert_array_equal(crop_box(some.image(0), whole(some.image(0)), LYING, VEHICLE).matrix, cut.matrix)
    grown = changed(dataset, BOX_JITTER, 0.2)
    np.testing.assert_allclose(
        grown.box / dataset.box, (grown.box_size / dataset.box_size)[:, None].repeat(2, 1), rtol=1e-5
    )


@pytest.mark.parametrize("codec", [[], ["intervals=true", "offset=udp", "flip_shift=0"]], ids=["dark", "udp"])
def test_a_perfect_network_is_right_to_a_hundredth_of_a_cell(codec, tiny_vehicles: Path):
    recipe = override(LYING, ["target_centre=exact", "offset=dark", *codec])
    dataset = open_split(recipe, tiny_vehicles, "test")
    off = normalised_distances(dataset, perfect_predictions(dataset, recipe.codec)) * dataset.unit[:, None]
    cell = 4 * 1.25 * dataset.box[:, :1] / 96
    assert np.nanquantile(off / cell, 0.9) < 0.02


def test_batches_have_the_recipes_shape(tiny_vehicles: Path):
    images, heatmaps, weights = TrainingBatches(open_split(LYING, tiny_vehicles, "train"), LYING, 1)[0]
    assert (images.shape, heatmaps.shape, weights.shape) == ((4, 3, 64, 96), (4, 36, 16, 24), (4, 36))
    images, matrices, count = EvaluationBatches(open_split(LYING, tiny_vehicles, "test"), LYING, 5)[2]
    assert (images.shape, matrices.shape, count) == ((5, 3, 64, 96), (5, 2, 3), 2)


# From a training to an Ascend's files


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "people"
    get_layout("mpii").draw(folder, 12, 7, seed=3)
    return folder


@pytest.fixture(scope="module")
def trained(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of UPRIGHT."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    run(UPRIGHT, people, out, "cpu")
    return out


@pytest.mark.slow
def test_a_stopped_training_continues_to_the_same_weights(trained: Path, people: Path, tmp_path: Path, monkeypatch):
    learn, calls = TrainStep.learn, []

    def stopping(step: TrainStep, batches: list) -> float:
        calls.append(0)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return learn(step, batches)

    with monkeypatch.context() as patch, pytest.raises((Stopped, KeyboardInterrupt)):
        patch.setattr(TrainStep, "learn", stopping)
        run(UPRIGHT, people, tmp_path / "out", "cpu")
    run(UPRIGHT, people, tmp_path / "out", "cpu", resume=True)
    whole_run, continued = (read_checkpoint(out / "last.ckpt") for out in (trained, tmp_path / "out"))
    assert continued[0] == whole_run[0] == UPRIGHT
    for name, value in whole_run[1].items():
        if name != "recipe":
            np.testing.assert_array_equal(continued[1][name].asnumpy(), value.asnumpy(), err_msg=name)
    losses = pd.read_csv(trained / "log.csv")["loss"]
    assert len(losses) == 9 and losses.iloc[-3:].mean() < losses.iloc[:3].mean()


@pytest.mark.slow
def test_every_run_time_has_the_networks_keypoints(trained: Path, people: Path, tmp_path: Path):
    rows = parity.run(Request(trained / "best.ckpt", "cpu"), people, first=5, out=tmp_path / "files")
    assert parity.check(rows) == []
    assert {"mindir", "onnxruntime", "openvino"} <= {row.run_time.split()[0] for row in rows if not row.missing}


@pytest.mark.slow
def test_the_stages_of_a_310_give_the_table_of_evaluate(trained: Path, people: Path, tmp_path: Path):
    model = export_model(trained / "best.ckpt", "onnx", tmp_path / "model.onnx", 5)
    predictor = load_predictor(Request(model, "cpu", backend="onnxruntime"))
    protocols = get_layout("mpii").protocols
    wanted = evaluate(predictor, open_split(predictor.recipe, people, "test"), protocols, tmp_path / "evaluated")
    assert infer310.preprocess(model, people, "test", None, tmp_path / "a") == 7
    assert (tmp_path / "a/images/000000.bin").stat().st_size == 4 * 3 * 64 * 48
    infer310.convert(Request(model, backend="onnxruntime"), tmp_path / "a")
    infer310.infer(Request(tmp_path / "a", "cpu"))
    found = infer310.postprocess(tmp_path / "a")
    tables = [{name: table.rows for name, table in made.items()} for made in (found, wanted)]
    assert largest_difference(*tables) == 0


@pytest.mark.slow
def test_inputs_of_another_shape_are_refused(trained: Path, people: Path, tmp_path: Path):
    """As many values, but upright and not lying."""
    model = export_model(trained / "best.ckpt", "onnx", tmp_path / "model.onnx", 1)
    infer310.convert(Request(model, backend="onnxruntime"), tmp_path / "a")
    other = override(UPRIGHT, ["input_size=64,48", "heatmap_size=16,12"])
    save_checkpoint(tmp_path / "other.ckpt", load_network(trained / "best.ckpt").network, other, 1, 1)
    infer310.preprocess(tmp_path / "other.ckpt", people, "test", None, tmp_path / "a", first=2)
    with pytest.raises(InputError, match=r"a model with input_size \(64, 48\), this one has \(48, 64\); run the stage"):
        infer310.infer(Request(tmp_path / "a", "cpu"))


def test_the_converters_shape_is_height_and_width():
    assert "--inputShape=images:2,3,256,192" in converter_command("a.onnx", "a", 2, (192, 256))
    assert "--inputShape=images:2,3,64,64" in converter_command("a.onnx", "a", 2, 64)


# Pictures, and what takes squares only


def test_pictures_of_rectangles(tiny_vehicles: Path):
    dataset = open_split(LYING, tiny_vehicles, "test")
    sample = dataset[0]
    cut = crop(sample, LYING)
    maps = LYING.codec.encode(cut.keypoints, cut.visible)[0]  # (K, 16, 24)
    figure = crops.data_flow(sample, cut, maps, sample.keypoints, VEHICLE)
    titles = [axes.get_title() for axes in figure.axes]
    assert "96×64 pixels" in titles[1] and "of 24×16 cells" in titles[2]
    assert poses.cell_extent((64, 96, 3), (16, 24)) == (-2, 94, 62, -2)
    assert len(size_statistics(dataset, LYING.input_size).axes) == 3
    picture = sample_picture(dataset, 0, LYING)
    width, height = (round(float(side)) for side in fit_box(0.0, sample.box, (96, 64)))
    assert f"box of {width} × {height} px × 1.00, turned by 0°" in picture.caption
    heatmaps_shown = heatmaps_of(dataset, [0], LYING, {"truth": maps[None]})
    assert "error: mean" in heatmap_picture(heatmaps_shown, 0, None, "truth", 0.5).caption


@pytest.mark.parametrize("recipe, draw", [(LYING, diagrams.hrnet_branches), (UPRIGHT, hourglass.stacks)])
def test_diagrams_say_width_and_height(recipe, draw):
    width, height = recipe.input_size
    texts = [text.get_text() for text in draw(recipe, VEHICLE).axes[0].texts]
    assert f"image\n3 × {width} × {height}" in texts
    assert f"heatmaps\n36 × {width // 4} × {height // 4}" in texts


def test_reid_takes_squares(tiny_vehicles: Path, tmp_path: Path):
    predictor = network_predictor(fresh(LYING), LYING, VEHICLE)
    with pytest.raises(InputError, match="poseestnet-tiny has a rectangular input, and MultiTaskNet takes square maps"):
        write_reid(predictor, tiny_vehicles, ["train"], tmp_path / "out")


def test_an_hourglass_and_an_hrnet_predict(tiny_vehicles: Path):
    dataset: PoseDataset = open_split(LYING, tiny_vehicles, "test").first(3)
    for recipe in (LYING, override(UPRIGHT, ["skeleton=vehicle36", "dataset=veri"])):
        found = predict_dataset(network_predictor(fresh(recipe), recipe, VEHICLE, 2), dataset, progress=False)
        assert found.keypoints.shape == (3, 36, 2) and np.isfinite(found.keypoints).all()
