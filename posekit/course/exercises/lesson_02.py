"""Exercises of lesson 02, on HRNet: what a block and a larger image cost, enlarging, how far a cell sees."""

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _channels(rng: np.random.Generator) -> Cases:
    return [(8,), (int(rng.integers(9, 60)),), (64,)]


def _block_parameters(channels):
    shapes = [(channels, channels, 3, 3), (channels,), (channels,)] * 2  # weights, scales, shifts
    return sum(int(np.prod(shape)) for shape in shapes)


def _maps(rng: np.random.Generator) -> Cases:
    """Maps (C, h, w) and a scale."""
    return [(np.arange(12.0).reshape(2, 2, 3), 2), (rng.normal(size=(3, 2, 4)).round(2), 3)]


def _enlarged(maps, scale):
    return np.kron(maps, np.ones((1, scale, scale)))


def _strides(rng: np.random.Generator) -> Cases:
    """The strides of 3 × 3 convolutions, the first one's first."""
    mixed = [int(stride) for stride in rng.integers(1, 3, 6)]
    return [([1],), ([1, 1, 1],), ([2, 2],), ([1, 2, 1, 2, 1],), ([2, *mixed, 1],)]


def _cells_seen(strides):
    first = last = 0  # of the cells that the result's cell 0 sees, from the last convolution back to the first
    for stride in reversed(strides):
        first, last = first * stride - 1, last * stride + 1
    return last - first + 1


def _stride_too_early(strides):
    seen, apart = 1, 1
    for stride in strides:
        apart *= stride
        seen += 2 * apart
    return seen


_BLOCK = Exercise(
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
        Mistake(lambda c: 18 * c * c + 2 * c, "there is a norm after *each* of the convolutions"),
        Mistake(lambda c: 18 * c * c + 6 * c, "the block's convolutions have no bias: the norm has a shift instead"),
        Mistake(lambda c: 18 * c * c + 8 * c, "a norm's running mean and variance are stored, but not trained"),
        Mistake(lambda c: 18 * c + 4 * c, "a convolution has 3 × 3 weights for each *pair* of an input and an output"),
    ),
    look="compare with `[(p.name, p.shape) for p in BasicBlock(8, 8).trainable_params()]`",
)

_ENLARGE = Exercise(
    "02.2",
    "Enlarge a map",
    "code",
    "enlarge",
    _maps,
    _enlarged,
    (
        Mistake(
            lambda m, s: np.tile(m, (1, s, s)), "row 0, 1 2 should become 0 0 1 1 2 2: repeat each cell, not the map"
        ),
        Mistake(lambda m, s: m.repeat(s, 2), "only the columns are repeated: repeat the rows, axis 1, as well"),
        Mistake(lambda m, s: m.repeat(s, 1), "only the rows are repeated: repeat the columns, axis 2, as well"),
        Mistake(
            lambda m, s: m.repeat(s, 0).repeat(s, 1), "axis 0 is the channels: leave it alone, and use axes 1 and 2"
        ),
        Mistake(lambda m, s: m.repeat(s), "`repeat` without an axis makes one long row; name the axis"),
    ),
    look="print `enlarge(np.arange(6.0).reshape(1, 2, 3), 2)`",
)

_LETTER = "answer with one of the letters, in quotation marks"

EXERCISES = (
    _BLOCK,
    _ENLARGE,
    Exercise(
        "02.3",
        "Twice the image",
        "predict",
        "growth",
        truth=lambda: "C",
        mistakes=(
            Mistake(
                "A", "a convolution has the same weights for every cell: are there more of them in a larger image?"
            ),
            Mistake("B", "twice as wide *and* twice as high: how many cells are that?"),
            Mistake("D", "n is in the work, 9·C²·n², but is it in the parameters, 9·C²? And does n⁴ occur anywhere?"),
        ),
        look=_LETTER,
    ),
    Exercise(
        "02.4",
        "How far a cell sees",
        "code",
        "cells_seen",
        _strides,
        _cells_seen,
        (
            Mistake(
                lambda strides: 1 + 2 * len(strides),
                "right for strides of 1; after a stride of 2, neighbouring cells are 2 input cells apart",
            ),
            Mistake(
                lambda strides: 3 ** len(strides),
                "two 3 × 3 convolutions see 5 × 5, not 9 × 9: the neighbours' views overlap",
            ),
            Mistake(
                _stride_too_early,
                "you apply a stride one convolution too early: it spreads what the *next* one sees, not its own view",
            ),
            Mistake(
                lambda strides: 3 + 2 * (len(strides) - 1) * int(np.prod(strides)),
                "each convolution adds 2 × the distance of *its* cells, which grows layer by layer, not at the end",
            ),
        ),
        look="draw a row of cells for strides [2, 2]: which input cells does cell 0 of the result see?",
    ),
    Exercise(
        "02.5",
        "Without the finest map",
        "open",
        rubric=(
            "says what it would save, in parameters and in work, from the charts of section 5",
            "says what it would cost in precision, with a number from section 6: shared cells at 1/8 instead of 1/4",
            "mentions that decoding is finer than a cell (lesson 01), so a coarser map isn't simply twice as imprecise",
            "says which measurement would decide, and for which use a coarser map would be enough",
        ),
    ),
)
