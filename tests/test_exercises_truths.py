"""What exercises call right, held against posekit, MindSpore and NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from posekit.codecs import Codec
from posekit.course.exercises import get_exercise
from posekit.datasets.pipeline import Augmentation, TrainingBatches, crop
from posekit.geometry import crop_matrix, transform_points
from posekit.models.hourglass import Hourglass, Residual
from posekit.models.layers import BasicBlock
from posekit.models.summary import layer_table
from posekit.recipes import get_recipe
from posekit.runtime import set_up
from posekit.settings import override
from posekit.training.step import learning_rates


@pytest.fixture(scope="module", autouse=True)
def pynative() -> None:
    set_up("cpu", 0, mode="pynative")


def truth(name: str, *arguments):
    return get_exercise(name).truth(*arguments)


def cases(name: str) -> list:
    return get_exercise(name).cases(np.random.default_rng(3))


def test_the_brightest_cell_is_as_far_off_as_a_codec_says() -> None:
    codec = Codec(256, 64, 2.0, "exact", offset="none")
    points = np.random.default_rng(0).uniform(20, 230, (1000, 1, 2))
    found, _ = codec.decode(codec.encode(points, np.ones((1000, 1)))[0])
    assert np.linalg.norm(found - points, axis=-1).mean() == pytest.approx(truth("01.1"), rel=0.03)


def test_mirrored_labels_are_those_of_a_mirrored_crop(tiny_vehicles) -> None:
    from posekit.layouts.veri import VERI

    train = VERI.read(tiny_vehicles, "train", None)
    sample, recipe = train[0], get_recipe("poseestnet-tiny")
    plain, flipped = (crop(sample, recipe, Augmentation(flip=flip)) for flip in (False, True))
    pairs = [list(pair) for pair in train.skeleton.flip_pairs]
    keypoints, visible = truth("01.2", plain.keypoints, plain.visible, 0, pairs)
    shift = flipped.keypoints[:, 0] - keypoints[:, 0]  # the crop mirrors at its box, so by another width
    assert np.ptp(shift) < 1e-6 and np.allclose(keypoints[:, 1], flipped.keypoints[:, 1])
    assert np.array_equal(visible, flipped.visible)


def test_heatmaps_and_crops_are_posekits() -> None:
    for x, y, cells, sigma in cases("01.3"):
        maps, _ = Codec(cells, cells, sigma, "exact").encode(np.array([[x, y]]), np.array([True]))
        assert np.abs(truth("01.3", x, y, cells, sigma) - maps[0]).max() < 0.0112  # exp(-4.5), the cut at 3 sigma
    for keypoints, center, box_size, size in cases("01.4"):
        wanted = transform_points(crop_matrix(center, box_size, size), keypoints)
        assert np.allclose(truth("01.4", keypoints, center, box_size, size), wanted)


def test_blocks_and_upsampling_are_the_networks() -> None:
    for (channels,) in cases("02.1"):
        assert truth("02.1", channels) == sum(p.size for p in BasicBlock(channels, channels).trainable_params())
    for maps, scale in cases("02.2"):
        size = tuple(scale * side for side in maps.shape[1:])
        wanted = ops.ResizeNearestNeighbor(size)(Tensor(maps[None], ms.float32))[0].asnumpy()
        assert np.allclose(truth("02.2", maps, scale), wanted)


def test_a_cell_sees_what_moves_it() -> None:
    """Each input cell in turn is 1: how many reach the middle of the result?"""
    for (strides,) in cases("02.4"):
        x = np.eye(601)  # one row for each input cell
        for stride in strides:
            padded = np.pad(x, ((0, 0), (1, 1)))
            x = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:])[:, ::stride]
        assert truth("02.4", strides) == np.count_nonzero(x[:, x.shape[1] // 2])


def test_hourglasses_have_these_blocks_and_this_work() -> None:
    for (depth,) in cases("03.1")[:3]:
        parts = Hourglass(depth, 8, False).cells_and_names()
        assert truth("03.1", depth) == sum(isinstance(cell, Residual) for _, cell in parts)
    table = layer_table(_Alone(Hourglass(4, 16, False)), 32)
    table = table[table["name"].str.contains("conv")]
    low = table["name"].str.contains("low")
    work = table["macs"][low].sum() / table["macs"][~low].sum()
    assert work == pytest.approx(truth("03.3"), rel=0.01)


class _Alone(nn.Cell):
    """An hourglass behind a convolution that gives it its channels."""

    def __init__(self, hourglass: nn.Cell) -> None:
        super().__init__()
        self.widen, self.hourglass = ops.BroadcastTo((1, 16, 32, 32)), hourglass

    def construct(self, images: Tensor) -> Tensor:
        return self.hourglass(self.widen(images[:, :1]))


def test_sizes_that_fit_are_the_smallest_multiples() -> None:
    for size, depth in cases("03.2"):
        assert truth("03.2", size, depth) == int(np.ceil(size / (4 * 2**depth))) * 4 * 2**depth


def test_pooling_is_mindspores() -> None:
    for (maps,) in cases("03.4"):
        wanted = nn.MaxPool2d(2, 2)(Tensor(maps[None], ms.float32))[0].asnumpy()
        assert np.allclose(truth("03.4", maps), wanted)


def test_rates_and_updates_are_those_of_a_training() -> None:
    changes = ["schedule=cosine", "learning_rate=1e-3", "warmup_epochs=2", "epochs=10"]
    wanted = learning_rates(override(get_recipe("poseestnet-tiny"), changes), 20)
    mine = [truth("04.2", update, 200, 40, 1e-3) for update in range(200)]
    assert np.allclose(mine, wanted, rtol=1e-4)
    weight, gradient, m, v, update, rate = cases("04.3")[0]
    parameter = Parameter(Tensor(weight, ms.float32), "w")
    nn.Adam([parameter], rate)((Tensor(gradient, ms.float32),))
    assert np.allclose(truth("04.3", weight, gradient, m, v, update, rate)[0], parameter.asnumpy(), atol=1e-5)


def test_a_wider_target_costs_this_much_more() -> None:
    empty = [
        (Codec(256, 64, sigma).encode(np.array([[128.0, 128]]), np.array([True]))[0] ** 2).mean() for sigma in (2, 4)
    ]
    assert empty[1] / empty[0] == pytest.approx(truth("04.4"), rel=0.01)


def test_ranks_take_the_images_that_a_training_gives_them(tiny_vehicles) -> None:
    from posekit.layouts.veri import VERI

    train, recipe = VERI.read(tiny_vehicles, "train", None), get_recipe("poseestnet-tiny")
    shares = [TrainingBatches(train, recipe, epoch=1, rank=rank, ranks=2).batches for rank in (0, 1)]
    order = np.concatenate([share[update] for update in range(len(shares[0])) for share in shares])
    for update in range(len(shares[0])):
        for rank in (0, 1):
            assert np.array_equal(truth("05.1", order, update, recipe.batch, rank, 2), shares[rank][update])
    assert len(set(order[: len(train) // (2 * recipe.batch) * 2 * recipe.batch])) > recipe.batch  # a real order


def test_the_mean_over_all_images_is_a_weighted_one() -> None:
    for gradients, counts in cases("05.4"):
        assert np.allclose(truth("05.4", gradients, counts), np.average(gradients, axis=0, weights=counts))
