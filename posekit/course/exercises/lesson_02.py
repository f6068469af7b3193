"""Exercises of lesson 02, on HRNet."""

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _channels(rng) -> Cases:
    return [(8,), (int(rng.integers(9, 60)),), (64,)]


def _block_parameters(channels):
    sizes = [(channels, channels, 3, 3), (channels,), (channels,)] * 2  # weights, scales, shifts
    total = 0
    for size in sizes:
        count = 1
        for n in size:
            count *= n
        total += count
    return total


EXERCISES = (
    Exercise(
        "02.1",
        "Count a block",
        "code",
        "block_parameters",
        _channels,
        _block_parameters,
        (
            Mistake(lambda c: 9 * c * c + 2 * c, "that is one convolution with its norm; a block has two of each"),
            Mistake(
                lambda c: 18 * c * c,
                "the convolutions are right; each norm also learns a scale and a shift for every channel",
            ),
            Mistake(lambda c: 18 * c * c + 2 * c, "there is one norm after *each* of the convolutions"),
            Mistake(lambda c: 18 * c * c + 6 * c, "the block's convolutions have no bias: the norm has a shift"),
            Mistake(lambda c: 18 * c * c + 8 * c, "a norm's running mean and variance are stored, but not trained"),
        ),
        look="compare with `[(p.name, p.shape) for p in BasicBlock(8, 8).trainable_params()]`",
    ),
)
