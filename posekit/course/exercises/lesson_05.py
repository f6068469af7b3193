"""Exercises of lesson 05, training on several devices: shares of images, launch options, averaged gradients."""

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _shares(rng: np.random.Generator) -> Cases:
    """order (N,), update, batch, rank, ranks."""
    order = rng.permutation(np.arange(100, 148))
    return [(order, update, 4, rank, 3) for update, rank in ((0, 0), (0, 2), (1, 0), (2, 1), (3, 2))]


def _share(order, update, batch, rank, ranks):
    return order.reshape(-1, ranks, batch)[update, rank]


def _from(start):
    return lambda order, update, batch, rank, ranks: order[
        (s := start(len(order), update, batch, rank, ranks)) : s + batch
    ]


def _hosts(rng: np.random.Generator) -> Cases:
    """host, hosts, cards, address."""
    return [(3, 4, 8, "10.1.0.7"), (0, 2, 8, "10.0.0.1"), (int(rng.integers(1, 5)), 6, 4, "192.168.0.12")]


def _options(host, hosts, cards, address, total=None, local=None):
    pairs = {
        "workers": total or hosts * cards,
        "local-workers": local or cards,
        "master-addr": address,
        "node-rank": host,
    }
    return " ".join(f"--{name} {value}" for name, value in pairs.items())


def _gradients(rng: np.random.Generator) -> Cases:
    """gradients (ranks, P), each the mean over a rank's images; counts (ranks,) of images."""
    return [
        (np.array([[1.0, 0.0], [4.0, 3.0]]), np.array([2, 1])),
        (rng.normal(size=(3, 4)).round(2), np.array([32, 32, 7])),
    ]


def _mean_gradient(gradients, counts):
    images = [row for row, count in zip(gradients, counts, strict=True) for _ in range(int(count))]
    return sum(images) / len(images)


_MINE = Exercise(
    "05.1",
    "Find your images",
    "code",
    "my_images",
    _shares,
    _share,
    (
        Mistake(
            _from(lambda n, u, b, r, k: u * b), "all ranks take the same images: the start must depend on the rank"
        ),
        Mistake(
            _from(lambda n, u, b, r, k: r * b),
            "every update takes the same images: the start must depend on the update",
        ),
        Mistake(
            _from(lambda n, u, b, r, k: (u + r) * b),
            "an update takes ranks × batch images, so the next one must start that many images later",
        ),
        Mistake(
            _from(lambda n, u, b, r, k: r * n // k + u * b),
            "each image is used once, but update 0 must take the order's first ranks × batch images for all ranks",
        ),
        Mistake(
            lambda o, u, b, r, k: o[u * k * b + r : (u + 1) * k * b : k],
            "each update has the right images, but dealt out one by one: rank 0 must take the first `batch` of them",
        ),
    ),
    look="for 3 ranks and a batch of 4, write down where each rank's share of updates 0 and 1 starts",
)

_START = Exercise(
    "05.2",
    "Four hosts",
    "code",
    "options",
    _hosts,
    _options,
    (
        Mistake(
            lambda host, hosts, cards, address: _options(host, hosts, cards, address, total=cards),
            "--workers counts the workers on all hosts, --local-workers those on this host",
        ),
        Mistake(
            lambda host, hosts, cards, address: _options(host, hosts, cards, address, local=hosts * cards),
            "--local-workers is the number of workers that this host starts: one for each of its own cards",
        ),
        Mistake(
            lambda host, hosts, cards, address: _options(host, hosts, cards, address, cards, hosts * cards),
            "--workers and --local-workers are swapped: the first counts all workers, the second those on this host",
        ),
        Mistake(
            lambda host, hosts, cards, address: _options(host + 1, hosts, cards, address),
            "hosts count from 0: the last of four has --node-rank 3",
        ),
        Mistake(
            lambda host, hosts, cards, address: _options(host, hosts, cards, address, total=hosts),
            "each worker uses one card, so there are hosts × cards workers",
        ),
    ),
    look="section 7 shows the command for two hosts; keep the order of the options that the task gives",
)

EXERCISES = (
    _MINE,
    _START,
    Exercise(
        "05.3",
        "How many images make an update?",
        "predict",
        "images",
        truth=lambda: 2 * 8 * 32 * 2,
        mistakes=(
            Mistake(512, "either the second host or `accumulate` is missing"),
            Mistake(64, "those are the images of one worker; the gradients of all workers are averaged"),
            Mistake(256, "those are the images of one host without `accumulate`"),
            Mistake(32, "that is one batch of one worker"),
        ),
        look="workers × accumulate × batch",
    ),
    Exercise(
        "05.4",
        "A fair mean",
        "code",
        "mean_gradient",
        _gradients,
        _mean_gradient,
        (
            Mistake(
                lambda g, n: g.mean(axis=0),
                "that gives every *rank* the same weight, so an image counts more on a rank that has few of them",
            ),
            Mistake(lambda g, n: g.sum(axis=0), "that is a sum: it grows with the number of ranks"),
            Mistake(
                lambda g, n: (g * n[:, None]).sum(axis=0),
                "the sum over all images is right; divide it by their number",
            ),
            Mistake(
                lambda g, n: (g * n[:, None]).mean(axis=0),
                "the weighted sum is right, but divide by the number of images, not of ranks",
            ),
            Mistake(
                lambda g, n: np.average(g, axis=1, weights=None),
                "that averages over the network's weights; the ranks are on axis 0",
            ),
        ),
        look="two ranks with 2 and 1 images and gradients 1 and 4: the mean over the images is (1 + 1 + 4) / 3",
    ),
    Exercise(
        "05.5",
        "Only 1.4 times as fast",
        "open",
        rubric=(
            "names at least three possible causes: waiting for images, sending gradients, waiting for the slowest "
            "worker, too small a batch per card, validation or saving on one rank",
            "says for each what to look at or try: `wait_share` and `images_per_second` in log.csv, one worker alone, "
            "a smaller network, another host",
            "changes one thing at a time; keeps `batch` per worker the same, or says what changes with it",
            "says which speed-up to expect, and which figure this is based on",
        ),
    ),
)
