"""The loss against its definition in NumPy."""

import mindspore as ms
import numpy as np
import pytest

from posekit.models.loss import heatmap_loss
from posekit.runtime import set_up


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    set_up("cpu", mode="pynative")
    yield
    set_up("cpu")


def loss(stages: list[np.ndarray], target: np.ndarray, weights: np.ndarray, factor: float) -> float:
    parts = [ms.Tensor(stage.astype(np.float32)) for stage in stages]
    return float(heatmap_loss(tuple(parts), ms.Tensor(target), ms.Tensor(weights), factor).asnumpy())


def random_case(keypoints: int = 36) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    maps, target = rng.random((2, 3, keypoints, 8, 8)).astype(np.float32)
    return maps, target, (rng.random((3, keypoints)) < 0.7).astype(np.float32)


def test_the_seeds_loss_joint_by_joint():
    """JointsMSELoss: for every joint 0.5 x the mean over images and cells of (w p - w t)², summed, times 36³."""
    maps, target, weights = random_case()
    total = 0.0
    for k in range(36):
        w = weights[:, k, None, None]
        total += 0.5 * np.mean((maps[:, k] * w - target[:, k] * w) ** 2, dtype=np.float64)
    assert loss([maps], target, weights, 0.5 * 36**3) == pytest.approx(total * 36**3, rel=1e-5)


def test_by_hand():
    maps, target = np.zeros((1, 2, 2, 2), np.float32), np.zeros((1, 2, 2, 2), np.float32)
    target[0, 0, 0, 0], target[0, 1, 1, 1] = 1, 3  # means of squares 1/4 and 9/4
    assert loss([maps], target, np.array([[1, 1]], np.float32), 2.0) == pytest.approx(5.0)
    assert loss([maps], target, np.array([[1, 0]], np.float32), 2.0) == pytest.approx(0.5)
    assert loss([maps], target, np.array([[0, 0]], np.float32), 2.0) == 0


def test_stages_are_averaged():
    maps, target, weights = random_case()
    alone = [loss([stage], target, weights, 1.0) for stage in (maps, target * 0.5)]
    assert loss([maps, target * 0.5], target, weights, 1.0) == pytest.approx(np.mean(alone), rel=1e-5)


def test_a_perfect_network_has_none_and_hidden_keypoints_do_not_matter():
    maps, target, weights = random_case()
    assert loss([target], target, weights, 1.0) == 0
    changed = np.where(weights[..., None, None] == 0, 99, maps)
    assert loss([changed], target, weights, 1.0) == loss([maps], target, weights, 1.0)


def test_half_precision_heatmaps_are_compared_in_full():
    maps, target, weights = random_case()
    halves = ms.Tensor(maps.astype(np.float16))
    found = heatmap_loss((halves,), ms.Tensor(target), ms.Tensor(weights), 1.0)
    expected = loss([maps.astype(np.float16).astype(np.float32)], target, weights, 1.0)
    assert found.dtype == ms.float32 and float(found.asnumpy()) == pytest.approx(expected, rel=1e-6)
