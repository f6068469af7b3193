"""Exercises of lesson 03, on the hourglass: its blocks, sizes, work and pooling."""

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _depths(rng: np.random.Generator) -> Cases:
    return [(1,), (2,), (4,), (int(rng.integers(5, 9)),)]


def _sizes(rng: np.random.Generator) -> Cases:
    """Sizes in pixels, and depths."""
    return [(256, 4), (250, 4), (257, 4), (90, 3), (1, 1), (int(rng.integers(65, 500)), 3)]


def _fitting(size, depth):
    while any(size % (2**halvings) for halvings in range(depth + 3)):
        size += 1
    return size


def _maps(rng: np.random.Generator) -> Cases:
    return [(rng.integers(0, 99, (1, 4, 4)).astype(float),), (rng.normal(size=(3, 4, 6)).round(2),)]


def _pooled(maps):
    channels, height, width = maps.shape
    cells = [(row, column) for row in range(0, height, 2) for column in range(0, width, 2)]
    best = [[max(m[r][c], m[r][c + 1], m[r + 1][c], m[r + 1][c + 1]) for r, c in cells] for m in maps.tolist()]
    return np.array(best).reshape(channels, height // 2, width // 2)


def _halves(maps):  # (C, h, w) -> (C, h / 2, 2, w / 2, 2)
    channels, height, width = maps.shape
    return maps.reshape(channels, height // 2, 2, width // 2, 2)


def _wrong_order(maps):
    channels, height, width = maps.shape
    return maps.reshape(channels, 2, height // 2, 2, width // 2).max(axis=(1, 3))


EXERCISES = (
    Exercise(
        "03.1",
        "Count the blocks",
        "code",
        "blocks",
        _depths,
        lambda depth: 1 + sum(3 for _ in range(depth)),
        (
            Mistake(lambda d: 4, "right at depth 1; in a deeper hourglass, low2 is an hourglass of depth - 1"),
            Mistake(lambda d: 4 * d, "low2 is a block *or* an hourglass: count the block where the recursion ends"),
            Mistake(lambda d: 3 * d, "each depth adds three blocks; at the bottom there is one more, low2"),
            Mistake(lambda d: 2 * d + 1, "around the smaller hourglass there are three blocks: up1, low1 and low3"),
        ),
        look="compare with `[name for name, cell in Hourglass(2, 8, False).cells_and_names()]`",
    ),
    Exercise(
        "03.2",
        "Which size fits?",
        "code",
        "fitting",
        _sizes,
        _fitting,
        (
            Mistake(lambda s, d: s // (4 * 2**d) * (4 * 2**d), "that is smaller than `size`; round up"),
            Mistake(
                lambda s, d: (s // (4 * 2**d) + 1) * (4 * 2**d),
                "right, except for sizes that already fit: 256 at depth 4 must stay 256",
            ),
            Mistake(
                lambda s, d: -(-s // 2**d) * 2**d,
                "the hourglass's halvings are right, but the stem has halved the image twice before",
            ),
            Mistake(
                lambda s, d: -(-s // (4 * d)) * 4 * d,
                "halving `depth` times divides by 2 to the power of depth, not by depth",
            ),
        ),
        look="at depth 4 there are 6 halvings, so 64 must divide the size",
    ),
    Exercise(
        "03.3",
        "Is depth expensive?",
        "predict",
        "low_work",
        truth=lambda: 3 * sum(0.25**halvings for halvings in (1, 2, 3, 4)),
        mistakes=(
            Mistake(1 / 3, "1/4 + 1/16 + … is right for one block at each size; how many blocks does each size have?"),
            Mistake(12, "12 blocks are right, but each costs less: a map of half the size has a quarter of the cells"),
            Mistake(3 * 15 / 16, "a halved map is half as high *and* half as wide: it takes a quarter of the work"),
            Mistake(4 / 3, "leave out up1, the block at full size, and count three blocks at each smaller size"),
            Mistake(2, "up1 is the unit, so don't count it; count only the blocks at smaller sizes"),
        ),
        tolerance=0.01,
        look="write down how many blocks each size has, and what one of them costs: 1/4, 1/16, 1/64, 1/256",
    ),
    Exercise(
        "03.4",
        "Pool a map",
        "code",
        "pool",
        _maps,
        _pooled,
        (
            Mistake(lambda m: _halves(m).mean((2, 4)), "that is the mean of every 2 × 2 cells; take the maximum"),
            Mistake(lambda m: m[:, ::2, ::2], "that is the top left of every 2 × 2 cells; take their maximum"),
            Mistake(
                _wrong_order,
                "the shape is right, but you compare cells that are far apart: reshape to (C, h / 2, 2, w / 2, 2), "
                "so that neighbours are on the axes of length 2",
            ),
            Mistake(lambda m: _halves(m).max((0, 2, 4)), "you pool the channels, too; keep axis 0"),
            Mistake(
                lambda m: _halves(m).max(2).max(2),
                "the axes have moved after the first maximum: the second one pools a wrong axis",
            ),
        ),
        look="if the cells in the top left corner are 0 1 / 2 3, the result's first cell is 3",
    ),
    Exercise(
        "03.5",
        "Stop after the first stack",
        "open",
        rubric=(
            "says what is saved, as a share of the parameters and of the work, from section 6",
            "says why this only works with a loss for every stack, from section 5",
            "names a measurement that decides: the score of both stacks on test images, by joint, "
            "and the time per image",
            "names a use where the first stack is enough, and one where it isn't",
        ),
    ),
)
