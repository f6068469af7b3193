"""Exercises of lesson 06: PCK and its confidence intervals."""

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _found(rng: np.random.Generator) -> Cases:
    """Distances in sixteenths, so that some are exactly at the threshold; the first case can be done by hand."""
    by_hand = np.array([[0.25, 0.75], [0.125, 0.0625], [0.5, 0.1875]])
    counted = np.array([[True, True], [True, False], [True, True]])
    distance = rng.integers(0, 9, (7, 5)) / 16  # (N, K)
    return [(by_hand, counted, 0.25), (distance, rng.random((7, 5)) < 0.6, 0.25)]


def _pck(distance, counted, threshold):
    right = total = 0
    for far, shown in zip(distance.ravel(), counted.ravel(), strict=True):
        total += bool(shown)
        right += bool(shown and far <= threshold)
    return 100 * right / total


def _mean_of_keypoints(distance, counted, threshold):
    rates = [(distance[c, k] <= threshold).mean() for k, c in enumerate(counted.T) if c.any()]
    return 100 * float(np.mean(rates))


def _test_sets(rng: np.random.Generator) -> Cases:
    """Hits and counts (N,) of images, and which images each test set holds, (B, N)."""
    counts = rng.integers(3, 17, (2, 20))
    return [(rng.binomial(each, 0.8), each, rng.integers(20, size=(200, 20))) for each in counts]


def _interval(hits, counts, drawn):
    rates = sorted(100 * sum(hits[i] for i in images) / sum(counts[i] for i in images) for images in drawn)
    return [_quantile(rates, 0.025), _quantile(rates, 0.975)]


def _quantile(ordered, share):
    place = share * (len(ordered) - 1)
    below, part = int(place), place - int(place)
    return ordered[below] + part * (ordered[below + 1] - ordered[below])


def _limits(rates, low=2.5, high=97.5):
    return [float(np.percentile(rates, low)), float(np.percentile(rates, high))]


def _drawn_rates(hits, counts, drawn):
    return 100 * hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1)


EXERCISES = (
    Exercise(
        "06.1",
        "A threshold in cells",
        "predict",
        "threshold_cells",
        truth=lambda: 1.2,
        mistakes=(
            Mistake(6, "that is the radius in pixels of the image; convert it to the crop, then to cells"),
            Mistake(4.8, "that is in pixels of the crop; a cell of the heatmap covers 4 of them"),
            Mistake(1.5, "pixels of the image aren't pixels of the crop: the crop shows 120 of them as 96"),
            Mistake(2.4, "that is a tenth of the heatmap's side; the threshold is a tenth of the *reference length*"),
        ),
        look="go step by step: image, crop, cells",
    ),
    Exercise(
        "06.2",
        "Pool the keypoints",
        "code",
        "my_pck",
        _found,
        _pck,
        (
            Mistake(lambda d, c, t: (d[c] <= t).mean(), "that is a share of 1; multiply by 100"),
            Mistake(lambda d, c, t: 100 * (d[c] < t).mean(), "a keypoint exactly at the threshold is right: use <="),
            Mistake(
                lambda d, c, t: 100 * (d <= t).mean(),
                "some keypoints don't count: select by `counted` first",
            ),
            Mistake(
                lambda d, c, t: 100 * ((d <= t) & c).mean(),
                "the keypoints that don't count are still in the denominator: divide by the number of counted ones",
            ),
            Mistake(_mean_of_keypoints, "that averages one rate per keypoint; here all counted ones are pooled"),
        ),
        look="compute the first case by hand: 3 of its 5 counted keypoints are right",
    ),
    Exercise(
        "06.3",
        "Twice as far",
        "predict",
        "new_curve",
        truth=lambda: "b",
        mistakes=(
            Mistake(
                "a",
                "twice the distance isn't half the keypoints: think of predictions that are all almost exact",
            ),
            Mistake("c", "the other way round: what was at distance 0.05 is now at 0.1"),
            Mistake("d", "all distances grow by the same *factor*, and PCK can't fall below 0"),
        ),
        look="follow one keypoint from its old distance to its new one",
    ),
    Exercise(
        "06.4",
        "An interval of your own",
        "code",
        "my_interval",
        _test_sets,
        _interval,
        (
            Mistake(
                lambda h, c, d: _limits(100 * (h / c)[d].mean(axis=1)),
                "that averages the images' rates; PCK pools: sum hits and counts of a test set, then divide",
            ),
            Mistake(
                lambda h, c, d: _limits(_drawn_rates(h, c, d), 5, 95),
                "5 and 95 leave 10 % outside; the middle 95 % start at 2.5",
            ),
            Mistake(
                lambda h, c, d: _limits(_drawn_rates(h, c, d), 0, 95),
                "the lowest 95 % aren't the middle ones: leave out 2.5 % on each side",
            ),
            Mistake(lambda h, c, d: _limits(_drawn_rates(h, c, d) / 100), "those are shares of 1; multiply by 100"),
            Mistake(
                lambda h, c, d: _limits(100 * h[d].sum(axis=1) / c.sum()),
                "each test set has its own counts: index `counts` with `drawn`, too",
            ),
        ),
        tolerance=1e-4,
        look="`hits[drawn]` is (B, N): one row per test set",
    ),
    Exercise(
        "06.5",
        "Is B better?",
        "open",
        rubric=(
            "Says that both networks were scored on the same images, so the difference must be computed image by image "
            "(paired), and that two overlapping intervals don't answer the question.",
            "Gives the paired interval of the difference (`posekit compare A.csv B.csv --labels DIR`) and interprets "
            "it: if 0 isn't in it, another test set would probably show a difference of the same sign.",
            "Asks how each checkpoint was chosen: on these images or on others.",
            "Asks for more than one training of each network, since the random seed changes PCK as well.",
            "Ends with a decision, and says how large a difference would have to be to matter in use.",
        ),
    ),
)
