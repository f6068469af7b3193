"""Check every picture that `posekit reid` wrote against the label files and the keypoints table."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from posekit.bars import progress_bar
from posekit.datasets.check import Finding, Report, of_split, problem
from posekit.datasets.dataset import BOX_MARGIN
from posekit.datasets.jpeg import is_truncated
from posekit.datasets.sources import found_in
from posekit.errors import InputError
from posekit.geometry import crop_matrix, transform_points
from posekit.reid.multitasknet import ReidSplit, read_split
from posekit.reid.segments import SIZE, segment_maps, visible_segments
from posekit.reid.write import read_note
from posekit.skeletons import VEHICLE
from posekit.tables import read_named_numbers

NEAR = 5  # cells from a keypoint within which its map must peak: a 16×16 map's cell is 4 of them, decoding adds 1
FAINT = 16  # grey levels (of 255) that a peak may lose to JPEG and interpolation
SAME = 2  # grey levels by which a segment may differ
UNREADABLE = "images that cannot be read"
INCOMPLETE = "folders with missing, unreadable or extra pictures"
OTHER_SEGMENTS = "segments that don't match the keypoints"
OTHER_HEATMAPS = "heatmaps that peak away from the keypoint"


def check_reid(out: str | Path, data: str | Path) -> Report:
    """Check the splits found in `out` against the label files and images in `data`. Reads every picture.

    Reports unfinished splits, rows that differ from the label file, unreadable images, folders with missing or extra
    pictures, segments that don't match the row's keypoints, and heatmaps that peak away from them. Raises InputError if
    `out` has no tables, and for malformed tables and label files.
    """
    out, data = Path(out), Path(data)
    tables = sorted([*out.glob("pose_*.csv"), *out.glob("pose_*.csv.part")])
    if not tables:
        raise InputError(f"{out}: looked for pose_SPLIT.csv, found {found_in(out)}; give the folder of posekit reid")
    findings = [problem("error", "leftovers of an interrupted run", [path.name for path in out.glob(".partial-*")])]
    for table in tables:
        split = table.name.removesuffix(".part")[len("pose_") : -len(".csv")]
        if table.suffix == ".part":
            findings.append(problem("error", f"{split}: not finished, run posekit reid again", [table.name]))
        else:
            findings += of_split(split, _check_split(out, table, read_split(data, split)))
    return Report(out, findings)


def _check_split(out: Path, table: Path, split: ReidSplit) -> Iterator[Finding]:
    names, values = read_named_numbers(table, 1 + 3 * VEHICLE.num_keypoints, "one row per image: name,x0,y0,score0,…")
    points = values.reshape(len(names), -1, 3)
    kept = visible_segments(points[..., 2], VEHICLE)
    yield Finding("info", "rows", len(names))
    yield Finding("info", f"segments that MultiTaskNet keeps ({100 * kept.mean():.0f} %)", int(kept.sum()))
    pairs = enumerate(zip(names, split.images, strict=False), 1)
    wrong = [f"row {row}: {name}, not {wanted}" for row, (name, wanted) in pairs if name != wanted]
    if len(names) != len(split.images):
        wrong.append(f"{len(names)} of {len(split.images)} rows")
    yield problem("error", "rows that differ from the label file", wrong)
    if wrong:
        return
    faults: dict[str, list[str]] = {UNREADABLE: [], INCOMPLETE: [], OTHER_SEGMENTS: [], OTHER_HEATMAPS: []}
    threshold, suffix = _made_with(out)
    for row in progress_bar(range(len(names)), desc=f"checking {split.name}", unit="row"):
        for what, where in _faults(out, split, row, points[row], threshold, suffix):
            faults[what].append(where)
    yield from (problem("error", what, where) for what, where in faults.items())
    for kind in ("heatmap", "segment"):
        folders = {path.name for path in (out / f"{kind}_{split.name}").glob("*")}
        yield problem("warning", f"{kind} folders without a row", sorted(folders - {name[:-4] for name in names}))


def _faults(
    out: Path, split: ReidSplit, row: int, points: np.ndarray, threshold: float | None, suffix: str
) -> Iterator[tuple[str, str]]:
    """Yield (problem, place) for the pictures of one row; `points` (K, 3) are its keypoints and scores."""
    name = split.images[row]
    try:
        height, width = split.read(row).shape[:2]
    except InputError:
        yield UNREADABLE, name
        return
    heatmap, segment = (f"{kind}_{split.name}/{name[:-4]}" for kind in ("heatmap", "segment"))
    heatmaps = _read_maps(out / heatmap, len(points), suffix)
    segments = _read_maps(out / segment, len(VEHICLE.segments), suffix)
    yield from ((INCOMPLETE, folder) for folder, maps in ((heatmap, heatmaps), (segment, segments)) if maps is None)
    if heatmaps is not None:
        yield from ((OTHER_HEATMAPS, f"{heatmap}/{k:02d}") for k in _astray(heatmaps, points, width, height))
    if segments is not None:
        expected = segment_maps(points[:, :2], width, height, VEHICLE)
        if threshold is not None:
            expected[~visible_segments(points[:, 2], VEHICLE)] = 0
        stored = [cv2.imdecode(cv2.imencode(suffix, picture)[1], cv2.IMREAD_UNCHANGED) for picture in expected]
        apart = np.abs(segments - np.stack(stored).astype(int)).max((1, 2)) > SAME
        yield from ((OTHER_SEGMENTS, f"{segment}/{s:02d}") for s in np.flatnonzero(apart))


def _made_with(out: Path) -> tuple[float | None, str]:
    """Return the threshold and the picture suffix that `out` was made with; None and .jpg without a reid.json."""
    described = read_note(out) or {}
    return described.get("threshold"), ".png" if described.get("lossless") else ".jpg"


def _read_maps(folder: Path, count: int, suffix: str) -> np.ndarray | None:
    """Read pictures 00, 01, … of a folder, (count, 64, 64) int64; None if any is missing, unreadable or extra."""
    wanted = [folder / f"{number:02d}{suffix}" for number in range(count)]
    if set(folder.glob("*")) != set(wanted):
        return None
    files = [path.read_bytes() for path in wanted]
    if not all(files) or any(map(is_truncated, files)):
        return None
    maps = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) for data in files]
    return np.stack(maps).astype(int) if all(m is not None and m.shape == (SIZE, SIZE) for m in maps) else None


def _astray(heatmaps: np.ndarray, points: np.ndarray, width: int, height: int) -> list[int]:
    """List the keypoints of `points` (K, 3) whose map (K, 64, 64) is clearly higher elsewhere than near them."""
    matrix = crop_matrix(np.array([width, height]) / 2, max(width, height) * BOX_MARGIN, SIZE)
    cells = np.rint(transform_points(matrix, points[:, :2])).astype(int)
    low, high = np.clip(cells - NEAR, 0, SIZE - 1), np.clip(cells + NEAR + 1, 1, SIZE)
    around = [maps[y:bottom, x:right].max() for maps, (x, y), (right, bottom) in zip(heatmaps, low, high, strict=True)]
    return np.flatnonzero(np.array(around) < heatmaps.max((1, 2)) - FAINT).tolist()
