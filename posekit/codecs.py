"""Keypoints to heatmaps and back. A codec knows neither the network nor the image.

Coordinates are in input pixels, (0, 0) the centre of the first; a heatmap's cell (i, j) stands for the input pixel
(i, j) * stride. Both originals have stride = input_size / heatmap_size; UDP (Huang et al., "The Devil is in the
Details", CVPR 2020, section 3) counts the intervals between pixels instead of the pixels, so that the first and the
last cell are on the first and the last pixel, and a mirrored map is on the map of the mirrored image.

Two things that the paper corrects are right with either count here: the way back is the inverse of the very map that
made the crop, and a target's centre may stay between cells ("exact"). Intervals also correct the flip: with pixels a
mirrored map is 1 - 1 / stride cells off (`flip_shift` of a recipe moves it back), with intervals it is in place.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from posekit.errors import InputError, shown
from posekit.geometry import Size, invert, sides, transform_points


@dataclass(frozen=True)
class Codec:
    """How keypoints become heatmaps and heatmaps keypoints.

    input_size, heatmap_size: the side of a square, or width and height.
    sigma: of the Gaussian, in cells; it is cut at 3 sigma and its peak is 1.
    centre: where it is: "round" (x + 0.5 cut to a whole cell, so to the nearest one on the map: PoseEstNet), "truncate"
        (towards cell 0, and only if that is a cell of the map and x above 0: Stacked Hourglass) or "exact" (between
        cells: what "dark" and "udp" assume).
    supervise_missing: True gives a keypoint without target an all-zero map that counts (Stacked Hourglass),
        False a weight of 0 (PoseEstNet).
    offset: sub-cell decoding: "none"; "quarter" of a cell towards the higher neighbour (PoseEstNet); "forced", always
        a quarter to one side, plus half a cell, of maps cut off at 1 (Stacked Hourglass); "dark", a Taylor step on the
        log of the smoothed map (Zhang et al., arXiv:1910.06278, eq. 3-9); or "udp", the same step from the nearest
        cells of a map smoothed by 1-2-1 (`post_dark_udp` of the code that UDP's authors published).
    intervals: sizes count the intervals between pixels and between cells, size - 1 (UDP), not pixels and cells. The
        crop has to count the same way, see `geometry.crop_matrix`.
    """

    input_size: Size
    heatmap_size: Size
    sigma: float
    centre: str = "round"
    supervise_missing: bool = False
    offset: str = "quarter"
    intervals: bool = False

    def __post_init__(self) -> None:
        for name, known in (("centre", CENTRES), ("offset", OFFSETS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, not {shown(getattr(self, name))}")

    @property
    def strides(self) -> np.ndarray:
        """Input pixels a cell, to the right and down, (2,): with intervals a rectangle's are a little apart."""
        extents = [np.array(sides(size)) - self.intervals for size in (self.input_size, self.heatmap_size)]
        return extents[0] / extents[1]

    @property
    def stride(self) -> float:
        """Input pixels a cell, to the right."""
        return float(self.strides[0])

    def encode(self, keypoints: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Targets of keypoints (..., K, 2) in input pixels and visible (..., K).

        Returns heatmaps (..., K, h, w) float32 and weights (..., K) float32. A keypoint whose whole Gaussian (of
        "truncate" its centre) is off the map, or that is not visible, has an all-zero map.

        Left of the map and above it, HRNet's code ("round") and UDP's (intervals) cut towards 0, so that a centre moves
        one cell right, and count a keypoint whose Gaussian ends one cell before the map. This does the same.
        """
        mu = CENTRES[self.centre](np.asarray(keypoints, np.float64) / self.strides)
        radius = np.floor(3 * self.sigma)
        udp = self.centre == "exact" and self.intervals
        nearest = np.trunc(mu + 0.5) if udp else np.floor(mu + 0.5)
        reach = 0 if self.centre == "truncate" else radius
        before = reach + (udp or self.centre == "round")
        on_map = ((nearest + before >= 0) & (nearest - reach < sides(self.heatmap_size))).all(-1)
        present = visible.astype(bool) & on_map  # (..., K)
        columns, rows = (
            self._gauss(mu[..., axis, None], nearest[..., axis, None], size)
            for axis, size in enumerate(sides(self.heatmap_size))
        )  # (..., K, w) and (..., K, h)
        columns *= present[..., None]
        heatmaps = rows[..., :, None] * columns[..., None, :]
        weights = np.ones_like(present) if self.supervise_missing else present
        return heatmaps, weights.astype(np.float32)

    def _gauss(self, mu: np.ndarray, nearest: np.ndarray, size: int) -> np.ndarray:
        """The Gaussians at mu (..., K, 1) of a map's axis of `size` cells, cut at 3 sigma from `nearest`, float32."""
        cells = np.arange(size)
        gauss = np.exp(-((cells - mu) ** 2) / (2 * self.sigma**2))
        return np.where(np.abs(cells - nearest) <= np.floor(3 * self.sigma), gauss, 0).astype(np.float32)

    def decode(self, heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (..., K, 2) in input pixels and scores (..., K) of heatmaps (..., K, h, w).

        The score is the map's highest value. A map without any positive value gives (0, 0), as in the originals.
        """
        lead, (height, width) = heatmaps.shape[:-2], heatmaps.shape[-2:]
        maps = heatmaps.reshape(-1, height, width)
        if self.offset == "forced":
            maps = np.minimum(maps, 1)
        flat = maps.reshape(len(maps), -1)
        best = flat.argmax(1)
        scores = flat[np.arange(len(maps)), best].astype(np.float64)
        cells = np.stack([best % width, best // width], 1)  # (M, 2) x, y
        points = cells + OFFSETS[self.offset](maps, cells, self.sigma)
        points[scores <= 0] = 0
        return (points * self.strides).reshape(*lead, 2), scores.reshape(lead)


def image_keypoints(codec: Codec, heatmaps: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, K, 2) in pixels of each image, and scores (N, K), of heatmaps (N, K, h, w).

    matrices: (N, 2, 3), the maps from image to input pixels that made the crops.
    """
    keypoints, scores = codec.decode(heatmaps)
    return transform_points(invert(matrices), keypoints), scores


def _truncated(mu: np.ndarray) -> np.ndarray:
    """Towards cell 0; -1, which is off the map, where x is 0 or less: that passes for a missing keypoint."""
    return np.where(mu[..., :1] > 0, np.trunc(mu), -1)


# Where the Gaussian of a keypoint at mu (..., 2), in cells, is centred.
CENTRES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round": lambda mu: np.trunc(mu + 0.5),
    "truncate": _truncated,
    "exact": lambda mu: mu,
}

# Codecs by the names that their papers go by: what `dataclasses.replace` takes. A recipe has the same in its fields
# target_centre, offset and intervals, with flip_shift 0 for udp.
CODECS = {
    "msra": {"centre": "round", "offset": "quarter", "intervals": False},
    "dark": {"centre": "exact", "offset": "dark", "intervals": False},
    "udp": {"centre": "exact", "offset": "udp", "intervals": True},
}


def _neighbour(maps: np.ndarray, cells: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """The value of each map at its cell shifted by (dx, dy), (M,)."""
    return maps[np.arange(len(maps)), cells[:, 1] + dy, cells[:, 0] + dx]


def _quarter_offsets(maps: np.ndarray, cells: np.ndarray, sigma: float) -> np.ndarray:
    """0.25 cell towards the higher neighbour, (M, 2); 0 where the best cell touches the border's first two columns.

    HRNet's code asks for 1 < x < w - 1, so cell 1 gets no offset either.
    """
    size = np.array([maps.shape[2], maps.shape[1]])
    inside = ((cells > 1) & (cells < size - 1)).all(1)
    safe = np.clip(cells, 1, size - 2)
    dx = _neighbour(maps, safe, 1, 0) - _neighbour(maps, safe, -1, 0)
    dy = _neighbour(maps, safe, 0, 1) - _neighbour(maps, safe, 0, -1)
    return 0.25 * np.sign(np.stack([dx, dy], 1)) * inside[:, None]


def _forced_offsets(maps: np.ndarray, cells: np.ndarray, sigma: float) -> np.ndarray:
    """0.25 or 0.75 cell, (M, 2): half a cell, and a quarter to the higher neighbour, or back where none is higher.

    At the border the best cell itself stands for the neighbour that is missing.
    """
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    dx = _neighbour(padded, cells + 1, 1, 0) - _neighbour(padded, cells + 1, -1, 0)
    dy = _neighbour(padded, cells + 1, 0, 1) - _neighbour(padded, cells + 1, 0, -1)
    return 0.5 + np.where(np.stack([dx, dy], 1) > 0, 0.25, -0.25)


def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """(size, size) float32, symmetric: multiplying a map's axis by it is a Gaussian blur with zeros outside."""
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    return (np.exp(-(distance**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))).astype(np.float32)


def _dark_offsets(maps: np.ndarray, cells: np.ndarray, sigma: float) -> np.ndarray:
    """One Newton step on the log of the smoothed map from its best cell, (M, 2), at most a cell long.

    Smoothing uses the target's own sigma. Near the border or where the log is not curved like a peak: 0.
    """
    smooth = _blur_matrix(maps.shape[1], sigma) @ maps @ _blur_matrix(maps.shape[2], sigma)
    logs = np.log(np.maximum(smooth, 1e-10)).astype(np.float64)
    size = np.array([maps.shape[2], maps.shape[1]])
    inside = ((cells > 1) & (cells < size - 2)).all(1)
    c = np.clip(cells, 2, size - 3)
    dx = 0.5 * (_neighbour(logs, c, 1, 0) - _neighbour(logs, c, -1, 0))
    dy = 0.5 * (_neighbour(logs, c, 0, 1) - _neighbour(logs, c, 0, -1))
    middle = 2 * _neighbour(logs, c, 0, 0)
    dxx = 0.25 * (_neighbour(logs, c, 2, 0) - middle + _neighbour(logs, c, -2, 0))
    dyy = 0.25 * (_neighbour(logs, c, 0, 2) - middle + _neighbour(logs, c, 0, -2))
    dxy = 0.25 * (
        _neighbour(logs, c, 1, 1)
        - _neighbour(logs, c, -1, 1)
        - _neighbour(logs, c, 1, -1)
        + _neighbour(logs, c, -1, -1)
    )
    return _newton_step(dx, dy, dxx, dyy, dxy) * inside[:, None]


def _udp_offsets(maps: np.ndarray, cells: np.ndarray, sigma: float) -> np.ndarray:
    """As `_dark_offsets`, from differences of neighbouring cells, after smoothing by 1-2-1; at the border, too.

    Smoothing reflects the map at its border; then the border's cells are repeated outside, so that a best cell there
    moves half a cell outwards.
    """
    logs = np.log(np.clip(_smoothed_around(maps, cells), 0.001, 50)).astype(np.float64)
    dx, dy = 0.5 * (logs[:, 1, 2] - logs[:, 1, 0]), 0.5 * (logs[:, 2, 1] - logs[:, 0, 1])
    dxx = logs[:, 1, 2] - 2 * logs[:, 1, 1] + logs[:, 1, 0]
    dyy = logs[:, 2, 1] - 2 * logs[:, 1, 1] + logs[:, 0, 1]
    corners, sides = logs[:, 0, 0] + logs[:, 2, 2], logs[:, [0, 1, 1, 2], [1, 0, 2, 1]].sum(1)
    dxy = 0.5 * (corners + 2 * logs[:, 1, 1] - sides)
    return _newton_step(dx, dy, dxx, dyy, dxy)


def _smoothed_around(maps: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The 3 x 3 cells about each map's cell, smoothed by 1-2-1 on both axes, (M, 3, 3)."""
    steps, weights = np.arange(-1, 2), np.array([0.25, 0.5, 0.25], maps.dtype)

    def taken(cell: np.ndarray, size: int) -> np.ndarray:
        """(M, 9): for each of three cells (outside the map the border's) itself and its neighbours, reflected."""
        around = np.clip(cell[:, None] + steps, 0, size - 1)[..., None] + steps
        return (size - 1 - np.abs(size - 1 - np.abs(around))).reshape(-1, 9)

    rows, columns = taken(cells[:, 1], maps.shape[1]), taken(cells[:, 0], maps.shape[2])
    patch = maps[np.arange(len(maps))[:, None, None], rows[:, :, None], columns[:, None]]  # (M, 9, 9)
    return np.einsum("miajb,a,b->mij", patch.reshape(-1, 3, 3, 3, 3), weights, weights)


def _newton_step(dx: np.ndarray, dy: np.ndarray, dxx: np.ndarray, dyy: np.ndarray, dxy: np.ndarray) -> np.ndarray:
    """From first and second derivatives (M,) to the peak, (M, 2), at most a cell long; 0 where there is no peak."""
    determinant = dxx * dyy - dxy**2
    usable = (determinant > 1e-12) & (dxx < 0)
    determinant = np.where(usable, determinant, 1)
    step = -np.stack([dyy * dx - dxy * dy, dxx * dy - dxy * dx], 1) / determinant[:, None]
    return np.where(usable[:, None], np.clip(step, -1, 1), 0)


# Sub-cell decoding: of maps (M, h, w), their best cells (M, 2) and the target's sigma to offsets (M, 2), in cells.
OFFSETS: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "none": lambda maps, cells, sigma: np.zeros(cells.shape),
    "quarter": _quarter_offsets,
    "forced": _forced_offsets,
    "dark": _dark_offsets,
    "udp": _udp_offsets,
}
