"""Exercises of lesson 04, on training: learning rates, Adam, the loss of empty heatmaps."""

import math

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _updates(rng: np.random.Generator) -> Cases:
    """update, updates, warmup, peak."""
    some = [0, 1, int(rng.integers(2, 38)), 39, 40, int(rng.integers(42, 150)), 199]
    return [(update, 200, 40, 1.0) for update in some] + [(int(rng.integers(3, 9)), 50, 10, 0.5)]


def _warm_cosine(update, updates, warmup, peak):
    rate = peak * math.cos(math.pi / 2 * update / updates) ** 2
    return rate * (update + 1) / warmup if update < warmup else rate


def _ramp(update, warmup):
    return min((update + 1) / warmup, 1)


def _cosine_after_warmup(update, updates, warmup, peak):
    if update < warmup:
        return peak * (update + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (update - warmup) / (updates - warmup)))


def _moments(rng: np.random.Generator) -> Cases:
    """weight, gradient, m, v (each (P,)), update from 1, rate."""
    weight, gradient, m = (rng.normal(size=4).round(3) for _ in range(3))
    zero = np.zeros(4)
    return [(weight, gradient, zero, zero, 1, 0.1), (weight, gradient, m, rng.uniform(0.1, 2, 4).round(3), 7, 0.01)]


def _adam(weight, gradient, m, v, update, rate):
    rows = []
    for w, g, first, second in zip(weight, gradient, m, v, strict=True):
        first, second = first + 0.1 * (g - first), second + 0.001 * (g * g - second)
        unbiased = first / (1 - 0.9**update), second / (1 - 0.999**update)
        rows.append((w - rate * unbiased[0] / (math.sqrt(unbiased[1]) + 1e-8), first, second))
    return tuple(np.array(row) for row in zip(*rows, strict=True))


def _adam_by(step):
    """Adam with another step of the weights: `step(m, v, update)` of the new m and v."""

    def wrong(weight, gradient, m, v, update, rate):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        return weight - rate * step(m, v, update), m, v

    return wrong


def _old_moments(weight, gradient, m, v, update, rate):
    new = _adam(weight, gradient, m, v, update, rate)
    return new[0], m, v


_COSINE = Exercise(
    "04.2",
    "Cosine with warm-up",
    "code",
    "warm_cosine",
    _updates,
    _warm_cosine,
    (
        Mistake(
            lambda u, n, w, p: p * min(u / w, 1) * 0.5 * (1 + math.cos(math.pi * u / n)),
            "your first update has rate 0 and changes nothing: the ramp is (update + 1) / warmup",
        ),
        Mistake(
            lambda u, n, w, p: p * (u + 1) / w * 0.5 * (1 + math.cos(math.pi * u / n)),
            "right during the warm-up; after it, the ramp must stay at 1",
        ),
        Mistake(
            _cosine_after_warmup,
            "your cosine starts after the warm-up; here it spans all updates, and the ramp multiplies it",
        ),
        Mistake(
            lambda u, n, w, p: p * _ramp(u, w) * 0.5 * (1 + math.cos(2 * math.pi * u / n)),
            "the rate rises again at the end: all updates together are half a period of the cosine",
        ),
        Mistake(
            lambda u, n, w, p: p * _ramp(u, w) * math.cos(math.pi * u / n),
            "the rate becomes negative: the cosine goes from 1 to -1, so shift it up and halve it, (1 + cos) / 2",
        ),
    ),
    tolerance=1e-8,
    look="draw it: `draw_rates({'mine': [warm_cosine(u, 200, 40, 1) for u in range(200)]}, 20)`",
)

_ADAM = Exercise(
    "04.3",
    "Adam by hand",
    "code",
    "adam",
    _moments,
    _adam,
    (
        Mistake(
            _adam_by(lambda m, v, t: m / (np.sqrt(v) + 1e-8)),
            "m and v are right, but not corrected: they start at 0, so divide them by 1 - 0.9^t and 1 - 0.999^t first",
        ),
        Mistake(
            _adam_by(lambda m, v, t: (m / (1 - 0.9**t)) / (v / (1 - 0.999**t) + 1e-8)),
            "m and v are right; the step divides by the *root* of the corrected v",
        ),
        Mistake(
            _adam_by(lambda m, v, t: -(m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)),
            "the weights move uphill, so the loss grows: subtract the step",
        ),
        Mistake(
            _old_moments,
            "the weights are right, but return the *new* m and v; otherwise the next update forgets this one",
        ),
        Mistake(
            lambda w, g, m, v, t, r: (w - r * g, m, v),
            "that is plain gradient descent: Adam uses the running means m and v, not the gradient itself",
        ),
    ),
    tolerance=1e-8,
    look="follow the four lines of the task one by one, and print m and v after the first two",
)

EXERCISES = (
    Exercise(
        "04.1",
        "Which learning rate?",
        "predict",
        "letters",
        truth=lambda: "CBA",
        mistakes=(
            Mistake("ABC", "the middle one is right. Too high a rate makes the loss *rise* in the first updates"),
            Mistake("BCA", "with too low a rate, the loss hardly moves at all: look for the flattest curve"),
            Mistake("CAB", "with too high a rate, the loss rises in the first updates: look where the curves begin"),
            Mistake("BAC", "what you call too high hardly moves, and what you call suitable rises first"),
            Mistake("ACB", "what you call too low rises first, and what you call suitable hardly moves"),
        ),
        look='write three letters, each once: too low, suitable, too high; for example "ABC"',
    ),
    _COSINE,
    _ADAM,
    Exercise(
        "04.4",
        "A wider target",
        "predict",
        "times",
        truth=lambda: 4,
        mistakes=(
            Mistake(1, "the peak stays 1, but more cells around it are above 0"),
            Mistake(2, "the disc is twice as wide *and* twice as high: how much larger is its area?"),
            Mistake(16, "the values are squared, but they don't grow; only the disc does"),
            Mistake(0.25, "the other way round: an empty map misses more of a wider target"),
        ),
        tolerance=0.02,
        look="the loss of an empty map is the mean of target²: how many cells does the Gaussian cover?",
    ),
    Exercise(
        "04.5",
        "One change",
        "open",
        rubric=(
            "changes only one field, and says before the run what is expected and why",
            "compares both runs by the same figures (loss, PCK, epoch of the best PCK), and shows the curves",
            "considers chance: repeats a run with another random seed, or says that one pair of runs can't show small "
            "differences",
            "draws a conclusion for this recipe, this data and this length of training only",
        ),
    ),
)
