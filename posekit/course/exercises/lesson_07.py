"""Exercises of lesson 07, on exported networks."""

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _maps(rng: np.random.Generator) -> Cases:
    reference = rng.random((2, 3, 6, 6)) * 0.8 - 0.1  # (N, K, h, w)
    return [(reference, reference + sign * np.abs(rng.normal(0, 1e-3, reference.shape))) for sign in (1, -1)]


def _apart(reference, other):
    cells, others = reference.ravel().tolist(), other.ravel().tolist()
    return max(abs(a - b) for a, b in zip(cells, others, strict=True)) / (max(cells) - min(cells))


def _signed(reference, other):
    return (other - reference).max() / np.ptp(reference)


def _pictures(rng: np.random.Generator) -> Cases:
    statistics = list(_MEAN), list(_STD)
    return [(rng.integers(0, 256, (side, side, 3), dtype=np.uint8), *statistics) for side in (8, 6)]


def _planes(picture, mean, std):
    side = len(picture)
    planes = np.zeros((3, side, side))
    for channel in range(3):
        for y in range(side):
            for x in range(side):
                planes[channel, y, x] = (int(picture[y, x, channel]) / 255 - mean[channel]) / std[channel]
    return planes


def _normalised(picture, mean, std):
    return (picture / 255 - np.array(mean)) / np.array(std)  # (S, S, 3)


def _turned(values):
    return values.transpose(2, 0, 1)  # (3, S, S)


EXERCISES = (
    Exercise(
        "07.1",
        "How far apart",
        "code",
        "difference",
        _maps,
        _apart,
        (
            Mistake(lambda a, b: np.abs(a - b).max(), "divide by the range of the reference's heatmaps, max − min"),
            Mistake(
                lambda a, b: np.abs(a - b).mean() / np.ptp(a),
                "the mean hides a single bad cell: take the largest difference",
            ),
            Mistake(_signed, "a cell that is too *low* is as wrong: take absolute values"),
            Mistake(lambda a, b: _signed(b, a), "a cell that is too *high* is as wrong: take absolute values"),
            Mistake(
                lambda a, b: (np.abs(a - b) / np.abs(a)).max(),
                "you divided cell by cell, so a cell near 0 gives a huge quotient: divide by the range of all heatmaps",
            ),
            Mistake(
                lambda a, b: np.abs(a - b).max() / a.max(),
                "you divided by the highest cell; the range is max − min, and the lowest cell isn't 0",
            ),
        ),
        tolerance=1e-9,
        look="take the largest absolute difference, then divide once",
    ),
    Exercise(
        "07.2",
        "Round to 11 bits",
        "predict",
        "largest_error",
        truth=lambda: 2**-11,
        mistakes=(
            Mistake(2**-10, "that is one step between numbers; rounding to the nearest is off by at most half a step"),
            Mistake(2**-8, "that is for the 8 bits of bf16; fp16 has 11"),
            Mistake(2**-24, "that is for the 24 bits of fp32; fp16 has 11"),
            Mistake(2**-12, "that is half of the answer: between 1 and 2, numbers of 11 bits are 2⁻¹⁰ apart"),
        ),
        tolerance=1e-7,
        look="between 1 and 2, numbers of 11 bits are 1/1024 apart; how far can a number be from the nearest of them?",
    ),
    Exercise(
        "07.3",
        "The size of a file",
        "predict",
        "file_bytes",
        truth=lambda: 96 * 96 * 3 * 4,
        mistakes=(
            Mistake(96 * 96 * 3, "that is the number of *values*; each float32 has 4 bytes"),
            Mistake(96 * 96 * 4, "that is one colour channel of three"),
            Mistake(96 * 96 * 3 * 2, "that would be float16, with 2 bytes; a float32 has 4"),
            Mistake(96 * 96 * 3 * 8, "that would be float64, NumPy's default: twice what the run time expects"),
        ),
        look="height × width × channels × bytes per value",
    ),
    Exercise(
        "07.4",
        "Planes for the board",
        "code",
        "planes_of",
        _pictures,
        _planes,
        (
            Mistake(
                lambda p, m, s: _normalised(p, m, s).reshape(3, *p.shape[:2]),
                "`reshape` doesn't move values, so the channels are still mixed; use `transpose(2, 0, 1)`",
            ),
            Mistake(
                lambda p, m, s: _turned(_normalised(p[..., ::-1], m, s)),
                "red and blue are exchanged; keep the order RGB",
            ),
            Mistake(
                lambda p, m, s: _turned(p),
                "the values aren't normalised: divide by 255, subtract the mean, divide by std",
            ),
            Mistake(
                lambda p, m, s: _turned(p / 255),
                "the values are only divided by 255; subtract the mean, then divide by std",
            ),
            Mistake(
                lambda p, m, s: _turned((p - np.array(m)) / np.array(s)),
                "mean and std are for values from 0 to 1: divide by 255 first",
            ),
            Mistake(
                lambda p, m, s: _turned(p / 255 - np.array(m)), "the mean is subtracted, but you haven't divided by std"
            ),
            Mistake(
                lambda p, m, s: _turned(p / 255 / np.array(s) - np.array(m)),
                "the order is wrong: subtract the mean first, then divide by std",
            ),
        ),
        tolerance=1e-4,
        look="compare the shape, then the mean of each plane",
    ),
    Exercise(
        "07.5",
        "Works here, not there",
        "open",
        rubric=(
            "Follows one picture through the stages and compares after each: the bytes that go in, the heatmaps that "
            "come out, the keypoints in the crop, the keypoints in the image.",
            "Compares numbers, not only PCK: channel means of the input, heatmaps relative to their range.",
            "Names at least three causes, and how you would recognise each: colours exchanged, no mean and std, "
            "a linear enlargement, the flip test left out, another decoding, half precision.",
            "Says which differences rounding explains (1e-6 in fp32, about 1e-3 in fp16) and which it doesn't.",
            "Keeps a test that would have found the cause: a picture, its heatmaps, a limit.",
        ),
    ),
)
