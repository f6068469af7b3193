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
            Mistake(lambda a, b: np.abs(a - b).mean() / np.ptp(a), "the mean hides one bad cell: take the largest"),
            Mistake(_signed, "a cell that is too *low* is as wrong: take absolute values"),
            Mistake(lambda a, b: _signed(b, a), "a cell that is too *high* is as wrong: take absolute values"),
            Mistake(
                lambda a, b: (np.abs(a - b) / np.abs(a)).max(),
                "cell by cell, an empty cell makes the quotient huge: divide by the range of all heatmaps",
            ),
            Mistake(lambda a, b: np.abs(a - b).max() / a.max(), "the range is max − min; the lowest cell isn't 0"),
        ),
        tolerance=1e-9,
        look="the largest absolute difference, then divide once",
    ),
    Exercise(
        "07.2",
        "Round to 11 bits",
        "predict",
        "largest_error",
        truth=lambda: 2**-11,
        mistakes=(
            Mistake(2**-10, "numbers are that far apart; rounding to the nearest errs by half of it at most"),
            Mistake(2**-8, "that is bf16's 8 bits; fp16 has 11"),
            Mistake(2**-24, "that is fp32's 24 bits"),
            Mistake(2**-12, "between 1 and 2, numbers of 11 bits are 2⁻¹⁰ apart"),
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
            Mistake(96 * 96 * 3, "that many *values*; a float32 has 4 bytes"),
            Mistake(96 * 96 * 4, "that is one of three colours"),
            Mistake(96 * 96 * 3 * 2, "that would be float16; a float32 has 4 bytes"),
            Mistake(96 * 96 * 3 * 8, "that is NumPy's default, float64: twice what the run time expects"),
        ),
        look="height × width × colours × bytes of a value",
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
                "`reshape` only counts the values anew; `transpose(2, 0, 1)` brings the channels to the front",
            ),
            Mistake(lambda p, m, s: _turned(_normalised(p[..., ::-1], m, s)), "red and blue are exchanged"),
            Mistake(lambda p, m, s: _turned(p), "the values are not normalised"),
            Mistake(lambda p, m, s: _turned(p / 255), "only divided by 255; mean and std are missing"),
            Mistake(
                lambda p, m, s: _turned((p - np.array(m)) / np.array(s)),
                "mean and std are those of values from 0 to 1: divide by 255 first",
            ),
            Mistake(lambda p, m, s: _turned(p / 255 - np.array(m)), "the mean is gone; now divide by std"),
            Mistake(
                lambda p, m, s: _turned(p / 255 / np.array(s) - np.array(m)),
                "subtract the mean, then divide by std",
            ),
        ),
        tolerance=1e-4,
        look="compare the mean of each plane",
    ),
    Exercise(
        "07.5",
        "Works here, not there",
        "open",
        rubric=(
            "Follows one picture through the stages and compares after each: the bytes that go in, the heatmaps that "
            "come out, the keypoints in the crop, the keypoints in the image.",
            "Compares numbers, not only the score: channel means of the input, heatmaps relative to their range.",
            "Names at least three causes with the trace that each would leave: colours exchanged, no mean and std, "
            "a linear enlargement, the flip test left out, another decoding, half precision.",
            "Says which difference rounding explains, 1e-6 in fp32 and about 1e-3 in fp16, and which it doesn't.",
            "Keeps a test that would have found it: a picture, its heatmaps, a limit.",
        ),
    ),
)
