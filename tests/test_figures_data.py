"""The pictures of data sets and samples: that they show what their inputs say. For both skeletons."""

import io

import cv2
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import rgb_to_hsv
from matplotlib.figure import Figure

from posekit.codecs import Codec
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import Augmentation, crop
from posekit.figures import crops, data
from posekit.recipes import get_recipe
from posekit.skeletons import PERSON, VEHICLE, Skeleton

SIZE = 64  # of the network's input
RECIPE = get_recipe("poseestnet-tiny")  # its input has that size
CODEC = Codec(SIZE, 16, 1.5, "exact", offset="dark")


def make_dataset(skeleton: Skeleton, count: int = 12) -> PoseDataset:
    """Noise images, 80 wide and 60 high, with random keypoints inside."""
    rng = np.random.default_rng(7)
    keypoints = rng.uniform((5, 5), (75, 55), (count, skeleton.num_keypoints, 2)).astype(np.float32)
    visible = rng.random((count, skeleton.num_keypoints)) < 0.6
    visible[:, :2] = True
    # as the readers give them: VeRi trains what can be seen, MPII every joint that has coordinates
    hidden = ~visible if skeleton is VEHICLE else visible & (rng.random(visible.shape) < 0.3)
    keypoints[~visible & ~hidden] = 0
    encoded = cv2.imencode(".jpg", rng.integers(0, 255, (60, 80, 3), np.uint8))[1].tobytes()
    return PoseDataset(
        skeleton, "train", [f"{i}.jpg" for i in range(count)], keypoints, visible, hidden,
        np.full((count, 2), (40, 30), np.float32), np.full(count, 100, np.float32), np.full(count, 50.0),
        lambda i: encoded, str,
    )  # fmt: skip


@pytest.fixture(params=[VEHICLE, PERSON], ids=["vehicle", "person"])
def dataset(request: pytest.FixtureRequest) -> PoseDataset:
    return make_dataset(request.param)


def draw(figure: Figure) -> Figure:
    """Render it: what cannot be laid out or drawn fails here."""
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def filled_and_rings(axes: Axes) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the filled points and of the rings, (M, 2) each."""
    scatters = [c for c in axes.collections if c.get_offsets().shape[0] and hasattr(c, "get_sizes")]
    filled = [np.asarray(c.get_offsets()) for c in scatters if len(c.get_facecolors())]
    rings = [np.asarray(c.get_offsets()) for c in scatters if not len(c.get_facecolors())]
    return tuple(np.concatenate(part) if part else np.zeros((0, 2)) for part in (filled, rings))


def test_contact_sheet_shows_the_labels_of_the_samples_asked_for(dataset: PoseDataset) -> None:
    figure = draw(data.contact_sheet(dataset, [3, 0, 7, 5], columns=3))
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title().split()[0] for axes in shown] == ["#3", "#0", "#7", "#5"]
    for axes, index in zip(shown, [3, 0, 7, 5], strict=True):
        filled, rings = filled_and_rings(axes)
        hidden = dataset.hidden[index]
        np.testing.assert_allclose(filled, dataset.keypoints[index][dataset.visible[index] & ~hidden])
        np.testing.assert_allclose(rings, dataset.keypoints[index][hidden])
        assert axes.get_xlim() == (-0.5, 79.5) and axes.get_ylim() == (59.5, -0.5)  # y down, pixel centres whole


def test_pose_has_the_sides_colours_and_omits_missing_keypoints() -> None:
    keypoints, visible = np.random.default_rng(0).uniform(5, 55, (16, 2)), np.ones(16, bool)
    keypoints[0], visible[0] = 0, False  # as MPII marks a joint that was not annotated
    axes = Figure().subplots()
    data.show_pose(axes, np.zeros((60, 80, 3), np.uint8), keypoints, visible, PERSON)
    filled, rings = filled_and_rings(axes)
    assert len(filled) == 15 and len(rings) == 0
    limbs, points = axes.collections[0], axes.collections[1]
    assert len(limbs.get_segments()) == len([limb for limb in PERSON.limbs if 0 not in limb])
    colors = dict(zip(PERSON.keypoints[1:], points.get_facecolors()[:, :3], strict=True))
    red, _, blue = colors["left knee"]
    assert red > 0.9 > 0.3 > blue  # orange
    red, _, blue = colors["right knee"]
    assert blue > 0.9 > 0.4 > red


def test_label_card_numbers_the_visible_and_names_all(dataset: PoseDataset) -> None:
    figure = draw(data.label_card(dataset[2], dataset.skeleton))
    picture, names = figure.axes
    assert [int(text.get_text()) for text in picture.texts] == list(np.flatnonzero(dataset.visible[2]))
    assert [text.get_text() for text in names.texts] == [f"{k}  {n}" for k, n in enumerate(dataset.skeleton.keypoints)]


def test_visibility_bars_are_the_shares(dataset: PoseDataset) -> None:
    bars, counts = draw(data.visibility_statistics(dataset)).axes
    widths = sorted(patch.get_width() for patch in bars.patches)
    sign = [-1 if name.startswith("left") else 1 for name in dataset.skeleton.keypoints]
    seen = dataset.visible & ~dataset.hidden
    np.testing.assert_allclose(widths, sorted(sign * seen.mean(0) * 100))
    heights = [patch.get_height() for patch in counts.patches]
    assert heights == list(np.bincount(seen.sum(1), minlength=dataset.skeleton.num_keypoints + 1))


def test_sizes_ignore_missing_keypoints() -> None:
    dataset = make_dataset(PERSON)
    dataset.keypoints[0] = 0
    dataset.keypoints[0, :2] = (10, 20), (40, 60)
    extent = draw(data.size_statistics(dataset, SIZE)).axes[2]
    np.testing.assert_allclose(extent.lines[0].get_xydata()[0], (30, 40))


def test_clearest_prefers_keypoints_that_are_apart() -> None:
    dataset = make_dataset(VEHICLE)
    dataset.keypoints[:] = 30 + dataset.keypoints / 100
    dataset.keypoints[4] = np.mgrid[0:6, 0:6].reshape(2, 36).T * 10
    dataset.visible[4], dataset.hidden[4] = True, False
    assert data.clearest(dataset) == 4


def test_wheel_has_front_up_and_left_on_the_left(dataset: PoseDataset) -> None:
    azimuths = np.arange(12) * 30.0
    figure = draw(data.viewpoint_wheel(dataset, azimuths, pictures=4))
    rose, *pictures = figure.axes
    assert sum(patch.get_height() for patch in rose.patches) == len(dataset)
    places = {axes.get_title(): axes.get_position() for axes in pictures}
    assert places["0°"].y0 > 0.7 and places["180°"].y1 < 0.3
    assert places["90°"].x1 < 0.3 and places["270°"].x0 > 0.7
    to_screen = rose.transData.transform
    assert to_screen((np.pi / 2, 1))[0] < to_screen((0, 0))[0] < to_screen((3 * np.pi / 2, 1))[0]


def test_box_outline_is_what_the_crop_takes() -> None:
    dataset = make_dataset(VEHICLE)
    cut = crop(dataset[0], RECIPE)
    axes = Figure().subplots()
    crops.show_box(axes, cut)
    outline = axes.lines[0].get_xydata()
    # box_size 100 about (40, 30); a pixel of the crop is 100 / 64 of the image's
    np.testing.assert_allclose(outline.max(0) - outline.min(0), (100, 100))
    np.testing.assert_allclose(outline[0], (-10 - 50 / SIZE, -20 - 50 / SIZE))
    assert axes.lines[1].get_linewidth() > axes.lines[0].get_linewidth()
    np.testing.assert_allclose(axes.lines[1].get_ydata(), outline[:2, 1])  # the top


def test_heatmaps_lie_over_their_keypoints(dataset: PoseDataset) -> None:
    cut = crop(dataset[0], RECIPE)
    one = np.zeros(dataset.skeleton.num_keypoints, bool)
    one[1] = True
    keypoints = np.full((len(one), 2), 20.0) + (16, 4)  # (36, 24): cell (9, 6) of stride 4
    heatmaps, _ = CODEC.encode(keypoints, one)
    axes = Figure().subplots()
    crops.show_heatmaps(axes, cut.image, heatmaps, dataset.skeleton)
    picture = axes.images[1]
    left, right, bottom, top = picture.get_extent()
    row, column = np.unravel_index(picture.get_array()[..., 3].argmax(), (16, 16))
    cell = np.array((right - left, bottom - top)) / 16
    np.testing.assert_allclose((left, top) + cell * (column + 0.5, row + 0.5), keypoints[1])
    np.testing.assert_allclose(picture.get_array()[row, column, :3], data.side_palette(dataset.skeleton)[1])


def test_data_flow_ends_at_the_found_keypoints(dataset: PoseDataset) -> None:
    sample = dataset[0]
    cut = crop(sample, RECIPE)
    heatmaps, _ = CODEC.encode(cut.keypoints, cut.visible)
    figure = draw(crops.data_flow(sample, cut, heatmaps, sample.keypoints + 3, dataset.skeleton))
    titles = [axes.get_title() for axes in figure.axes]
    assert "80×60" in titles[0] and "64×64" in titles[1] and "16×16" in titles[2]
    filled, _ = filled_and_rings(figure.axes[3])
    np.testing.assert_allclose(filled, sample.keypoints[sample.visible] + 3)
    for axes in figure.axes:  # upright, however the first one's limits came about
        assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_augmentations_show_each_draw(dataset: PoseDataset) -> None:
    sample, skeleton = dataset[1], dataset.skeleton
    drawn = [Augmentation(0.9, 20, True), Augmentation(1.1, 0, False)]
    figure = draw(crops.augmentations(sample, [(a, crop(sample, RECIPE, a)) for a in drawn], skeleton))
    first, *panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == ["×0.90, +20°, mirrored", "×1.10, +0°"]
    assert len(first.lines) == 4 and first.get_ylim()[0] > first.get_ylim()[1]


def test_colours_of_segments_tell_the_sides_and_each_other() -> None:
    colors = data.segment_palette(VEHICLE)
    assert len(np.unique(colors.round(3), axis=0)) == 13
    hue = 360 * rgb_to_hsv(colors)[:, 0]
    assert (hue[:3] < 40).all() and ((hue[3:6] > 190) & (hue[3:6] < 230)).all()  # orange, blue
