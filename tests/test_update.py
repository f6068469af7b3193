"""One update: decay, accumulation, clipping, scaling, averages, mixed precision, against what they stand for."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops
from networks import fresh

from posekit.models.loss import heatmap_loss
from posekit.recipes import Recipe, get_recipe
from posekit.runtime import mixed_precision, precision, set_up
from posekit.settings import override
from posekit.skeletons import VEHICLE
from posekit.training.step import (
    AVERAGE,
    TrainStep,
    Update,
    averaged_network,
    describe_update,
    make_optimizer,
    make_step,
)

TINY = override(get_recipe("poseestnet-tiny"), ["weight_decay=0"])


class Plain(nn.Cell):
    """The least that has heatmaps: no BatchNorm, so a batch can be split."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, has_bias=True, weight_init="ones", bias_init="ones")

    def construct(self, images: Tensor) -> tuple[Tensor]:
        """(N, 3, h, w) -> ((N, 2, h, w),)"""
        return (self.conv(images),)


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    set_up("cpu")


def batch(seed: int, count: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = ((count, 3, 4, 4), (count, 2, 4, 4), (count, 2))
    return [rng.random(shape, np.float32) for shape in shapes]


def plain_step(*settings: str) -> TrainStep:
    return make_step(Plain(), override(TINY, list(settings)), steps=10).set_train(True)


def arrays(step: TrainStep, start: str = "") -> dict[str, np.ndarray]:
    every = {**{p.name: p for p in step.network.get_parameters()}, **step.state()}
    return {name: p.asnumpy().copy() for name, p in every.items() if name.startswith(start)}


def norm(values: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.square(value).sum() for value in values.values())))


@pytest.mark.slow
def test_two_half_batches_are_one_whole():
    """Where nothing normalises over the batch: the same loss, gradients (Adam's moments) and weights."""
    one, two = plain_step(), plain_step("accumulate=2")
    for seed in (1, 2):
        whole = batch(seed)
        loss = one.learn([whole])
        assert two.learn([[part[:4] for part in whole], [part[4:] for part in whole]]) == pytest.approx(loss, rel=1e-6)
    left, right = arrays(one), arrays(two)
    assert set(left) == set(right) and "moment1.conv.weight" in left
    for name in left:
        np.testing.assert_allclose(right[name], left[name], rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_long_gradient_is_shortened_and_keeps_its_direction():
    """Adam's first moment is a tenth of the first gradient."""
    free, bound, loose = plain_step(), plain_step("clip_norm=0.01"), plain_step("clip_norm=1e6")
    for step in (free, bound, loose):
        step.learn([batch(1)])
    gradient, short = arrays(free, "moment1"), arrays(bound, "moment1")
    assert norm(gradient) > 0.1 and norm(short) == pytest.approx(0.1 * 0.01, rel=1e-4)
    for name in gradient:
        np.testing.assert_allclose(short[name] / norm(short), gradient[name] / norm(gradient), rtol=1e-4)
    for name, value in arrays(loose, "moment1").items():
        np.testing.assert_allclose(value, gradient[name], rtol=1e-6)


@pytest.mark.slow
def test_a_loss_scale_changes_no_bit():
    """It is a power of two."""
    free, scaled = plain_step(), plain_step("loss_scale=1024", "loss_scale_window=2")
    for seed in range(3):
        assert scaled.learn([batch(seed)]) == free.learn([batch(seed)])
    assert all(np.array_equal(value, arrays(scaled)[name]) for name, value in arrays(free).items())
    assert scaled.scaling(3) == {"loss_scale": 2048, "skipped": 0}  # doubled after two updates


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_where_gradients_overflow_nothing_is_updated(accumulate):
    step = plain_step(f"accumulate={accumulate}", "loss_scale=1e38", "clip_norm=1", "weight_decay=0.1")
    good, before = [batch(1)] * accumulate, arrays(step)
    assert np.isfinite(step.learn(good))  # the loss itself is fine, the scaled one is not
    after = arrays(step)
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed == ["scale_value"] and after["scale_value"] == before["scale_value"] / 2
    assert step.scaling(1)["skipped"] == 1
    ops.assign(step.scaler.scale_value, Tensor(1.0))
    step.learn(good)  # and nothing of the overflow is left
    assert step.scaling(2)["skipped"] == 1 and all(np.isfinite(value).all() for value in arrays(step).values())


@pytest.mark.slow
def test_the_average_follows_the_weights():
    """In closed form: it keeps min(ema, (1 + t) / (10 + t)) of itself at update t; BatchNorm's statistics, too."""
    recipe = override(TINY, ["ema=0.25", "batch=2", "layer1_block=basic"])
    network = fresh(recipe)
    averaged = averaged_network(network, recipe, VEHICLE)
    step = make_step(network, recipe, 10, averaged).set_train(True)
    wanted = {name: value.copy() for name, value in arrays(step).items() if f"{AVERAGE}{name}" in arrays(step)}
    rng = np.random.default_rng(0)
    for update in range(1, 4):
        shapes = ((2, 3, 64, 64), (2, 36, 16, 16), (2, 36))
        step.learn([[rng.random(shape, np.float32) for shape in shapes]])
        keep = min(0.25, (1 + update) / (10 + update))
        found = arrays(step)
        wanted = {name: keep * value + (1 - keep) * found[name] for name, value in wanted.items()}
    assert any("moving_mean" in name for name in wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[AVERAGE + name], value, rtol=1e-4, atol=1e-7, err_msg=name)


@pytest.mark.slow
def test_any_number_of_weights_is_averaged_and_clipped():
    """A full-size network has a thousand; a loop over them was deeper than MindSpore's compiler goes."""
    weights = [Parameter(np.float32([k]), name=f"w{k}") for k in range(1200)]
    averaged = [Parameter(np.zeros(1, np.float32), name=f"a{k}") for k in range(1200)]
    update = Update(nn.SGD(weights, 1.0), clip_norm=1.0, ema=0.9, weights=weights, averaged=averaged)
    update(tuple(Tensor(np.ones(1, np.float32)) for _ in weights))
    step = 1 / np.sqrt(1200)  # every gradient is 1, and together they are 1 long
    for k in (0, 600, 1199):
        np.testing.assert_allclose(weights[k].asnumpy(), k - step, rtol=1e-4)
        np.testing.assert_allclose(averaged[k].asnumpy(), (1 - 2 / 11) * (k - step), rtol=1e-4)


@pytest.mark.parametrize("decayed, kinds", [("weights", {"weight"}), ("weights+biases", {"weight", "bias"}),
                                            ("all", {"weight", "bias", "gamma", "beta"})])  # fmt: skip
def test_weight_decay_takes_what_the_recipe_says(decayed, kinds):
    """With no gradient Adam's first update moves every decayed value by the whole rate towards 0, and no other."""
    network = fresh(override(TINY, ["head_bias=true"]))
    for parameter in network.trainable_params():
        ops.assign(parameter, Tensor(np.full(parameter.shape, 0.5, np.float32)))
    recipe: Recipe = override(TINY, [f"decayed={decayed}", "weight_decay=0.1", "learning_rate=0.01", "warmup_epochs=0"])
    optimizer = make_optimizer(network, recipe, 10)
    optimizer(tuple(Tensor(np.zeros(parameter.shape, np.float32)) for parameter in optimizer.parameters))
    for parameter in network.trainable_params():
        moved = 0.01 if parameter.name.rsplit(".", 1)[1] in kinds else 0
        np.testing.assert_allclose(parameter.asnumpy(), 0.5 - moved, rtol=1e-4, err_msg=parameter.name)


@pytest.mark.parametrize("level", ["O2", "O3"])
def test_mixed_precision_keeps_weights_and_loss_in_fp32(level, monkeypatch):
    """As a device would do it: half precision inside, which is seen in the values, fp32 weights and loss."""
    network = fresh(TINY)
    names = [parameter.name for parameter in network.get_parameters()]
    images, heatmaps, weights = (Tensor(part) for part in tiny_batch())
    network.set_train(False)
    exact = network(images)[0].asnumpy()
    monkeypatch.setattr("posekit.runtime._device", type("Device", (), {"target": "GPU"})())
    half = mixed_precision(network, level)
    heat = half(images)[0]
    assert heat.dtype == ms.float32 and heatmap_loss((heat,), heatmaps, weights, 0.5 * 36**3).dtype == ms.float32
    assert [parameter.name for parameter in half.get_parameters()] == names
    assert {str(parameter.dtype) for parameter in half.get_parameters()} == {"Float32"}
    apart = np.abs(heat.asnumpy() - exact).max() / np.abs(exact).max()
    assert 1e-6 < apart < 0.05


def tiny_batch() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random(shape, np.float32) for shape in ((2, 3, 64, 64), (2, 36, 16, 16), (2, 36))]


def test_the_cpu_leaves_mixed_precision_out_and_says_so():
    network = fresh(TINY)
    assert mixed_precision(network, "O2") is network
    assert precision("O2").startswith("fp32: amp O2 is ignored") and precision("O0") == "fp32"


def test_an_update_is_described():
    said = describe_update(override(TINY, ["batch=8", "accumulate=2", "learning_rate=1e-3"]), devices=4)
    assert said == "learning rate 0.001 for a global batch of 64 (4 devices x 2 batches x 8 images)"
    assert describe_update(TINY).endswith("a global batch of 4 (1 device x 4 images)")
