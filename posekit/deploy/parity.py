"""`posekit parity`: is every run time that is here still the network of the checkpoint, and how fast is it?"""

import shutil
import tempfile
import timeit
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from posekit.bars import Bar, progress_bar
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import EvaluationBatches
from posekit.deploy.export import Calibration, export_model
from posekit.errors import InputError
from posekit.evaluation.metrics import Scores
from posekit.evaluation.protocols import Protocol, largest_difference, score, write_scores
from posekit.inference.predictors import Predictor, predict_dataset
from posekit.inference.run_times import load_predictor
from posekit.inference.run_times.lite import convert_lite
from posekit.inference.run_times.onnx_files import ROUNDED
from posekit.inference.run_times.request import MissingRunTime, Request
from posekit.layouts import for_data, get_layout, open_split
from posekit.predictions import Predictions
from posekit.runtime import split_device, whole_fp32

# How far heatmaps may be from the checkpoint's, in shares of their range, by what a run time computes in. In fp32 only
# sums are formed in another order, and beyond the limit it is another network. In half precision (an Ascend 310
# computes in fp16) more is not usual, but the PCK tables are what has to be judged.
HEATMAP_LIMITS = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 5e-2, "int8": 0.2}
ENTRY_LIMIT = 0.05  # points, of any entry of the PCK tables in fp32
_RUN_TIMES = (
    ("mindir", "fp32"),
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("lite", "fp32"),
    ("onnxruntime", "bf16"),  # simulated
    ("onnxruntime", "fp16"),  # simulated
    ("onnxruntime", "int8"),
    ("openvino", "int8"),
)
_ON_ASCEND = (("lite", "fp16"), ("om", "fp16"))


@dataclass(frozen=True)
class Row:
    """One run time against the checkpoint; where it is not here, `missing` says why, and there is nothing else."""

    run_time: str
    precision: str
    missing: str = ""
    heatmaps: float = 0.0  # largest difference / range
    median: float = 0.0  # distance of keypoints, pixels of the image
    far: float = 0.0  # 99 % of them are nearer
    tied: int = 0  # keypoints that moved since cells are as good as equal
    entry: float = 0.0  # largest difference of the tables' entries without those, points
    milliseconds: float = 0.0  # an image, decoding included, without flip test
    megabytes: float = 0.0  # of the file
    tables: dict[str, Scores] = field(default_factory=dict)  # by protocol


@dataclass(frozen=True)
class _Reference:
    """What the checkpoint answers for the whole split."""

    dataset: PoseDataset
    heatmaps: np.ndarray  # (N, K, h, w), on disk
    predictions: Predictions
    protocols: Mapping[str, Protocol]
    row: Row
    bar: Bar

    @property
    def span(self) -> float:
        """Range of the heatmaps."""
        return float(self.heatmaps.max() - self.heatmaps.min())


def run(
    request: Request,
    data: Path | None = None,
    split: str = "test",
    images: Path | None = None,
    first: int | None = None,
    out: Path | None = None,
    progress: bool = True,
) -> list[Row]:
    """A row for each run time, the checkpoint's first, over the split or its `first` samples.

    request: the checkpoint, the device and Lite's Python. With `out` the exported files stay there, and parity.json
    beside them.
    """
    kind, _ = split_device(request.device)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as files:
        predictor = load_predictor(replace(request, batch=1, backend="mindspore"))
        whole_fp32()
        recipe = for_data(predictor.recipe, data)
        dataset = open_split(recipe, data, split, images).first(first)
        protocols = get_layout(recipe.dataset).protocols
        run_times = _RUN_TIMES + (_ON_ASCEND if kind == "ascend" else ())
        total = (1 + len(run_times)) * len(dataset)
        bar = progress_bar(total=total, desc="checkpoint", unit="image", disable=not progress)
        reference = _refer(predictor, request.model, dataset, protocols, Path(folder, "heatmaps.npy"), bar)
        rows = [reference.row]
        for number, (backend, precision) in enumerate(run_times, 1):
            _move(bar, number * len(dataset), f"{backend} {precision}")  # also past those that are not here
            simulated = backend == "onnxruntime" and precision in ROUNDED
            if simulated and any(row.precision == precision and not row.missing for row in rows):
                continue
            on_cpu = simulated or precision == "int8" or backend == "openvino" or (backend == "lite" and kind == "gpu")
            device = "cpu" if on_cpu else request.device
            wanted = replace(request, device=device, batch=1, backend=backend, precision=precision)
            rows.append(_try(wanted, Path(files), reference, (data, images)))
        _move(bar, total, "parity")
        bar.close()
        if out is not None:
            shutil.copytree(files, out, dirs_exist_ok=True)
            write_scores(out / "parity.json", [asdict(row) for row in rows])
    return rows


def check(rows: list[Row]) -> list[str]:
    """What is wrong with the run times in fp32, a line each; none when all are the checkpoint's network."""
    problems = []
    for row in rows:
        if row.precision != "fp32" or row.missing:
            continue
        limit = HEATMAP_LIMITS["fp32"]
        if not row.heatmaps <= limit:
            problems.append(
                f"{row.run_time}: heatmaps differ by {row.heatmaps:.1e} of their range, {limit:g} is the limit"
            )
        if not row.entry <= ENTRY_LIMIT:
            problems.append(
                f"{row.run_time}: an entry of a table differs by {row.entry:.3f} points, {ENTRY_LIMIT:g} is the limit"
            )
    return problems


def _try(request: Request, files: Path, reference: _Reference, calibration: Calibration) -> Row:
    """The row of the run time that `request` names, for its checkpoint."""
    assert request.precision
    try:
        path = _file(request, files, calibration)
        predictor = load_predictor(replace(request, model=path))
    except InputError as error:
        if request.precision == "fp32" and not isinstance(error, MissingRunTime):
            raise  # it is here, and refuses the network
        return Row(f"{request.backend} {request.precision}", request.precision, str(error))
    return _row(predictor, path, request.precision, reference)


def _file(request: Request, files: Path, calibration: Calibration) -> Path:
    """The checkpoint as a file that the run time reads, made where it is not yet; int8 is calibrated with the data."""
    model, backend = request.model, request.backend
    kind = backend if backend in ("mindir", "om") else "onnx"
    precision = "int8" if request.precision == "int8" else "fp32"
    path = files / f"{model.stem}{precision.removeprefix('fp32')}.{kind}"
    if not path.is_file():
        export_model(model, kind, path, batch=1, precision=precision, calibration=calibration)
    if backend != "lite":
        return path
    made = files / f"{model.stem}-lite-{request.precision}.mindir"
    convert_lite(replace(request, model=path), made)
    return made


def _refer(
    predictor: Predictor, model: Path, dataset: PoseDataset, protocols: Mapping[str, Protocol], store: Path, bar: Bar
) -> _Reference:
    shape = (len(dataset), predictor.skeleton.num_keypoints, *predictor.recipe.heatmap_shape)
    heatmaps = np.lib.format.open_memmap(store, "w+", np.float32, shape)

    def store_maps(rows: slice, maps: np.ndarray) -> None:
        heatmaps[rows] = maps
        bar.update(len(maps))

    predictions = predict_dataset(predictor, dataset, progress=False, visit=store_maps)
    row = _measured(predictor, model, "fp32", dataset, predictions, protocols)
    return _Reference(dataset, heatmaps, predictions, protocols, row, bar)


def _move(bar: Bar, to: int, name: str) -> None:
    """Move the bar on to the next run time."""
    bar.set_description(name, refresh=False)
    bar.update(to - bar.n)
    bar.refresh()


def _row(predictor: Predictor, path: Path, precision: str, reference: _Reference) -> Row:
    """Run the whole split and compare."""
    wanted, span = reference.predictions, reference.span
    worst, tied = 0.0, np.zeros(wanted.scores.shape, bool)

    def compare(rows: slice, heatmaps: np.ndarray) -> None:
        nonlocal worst
        stored = reference.heatmaps[rows]
        worst = np.maximum(worst, np.abs(heatmaps - stored).max() / span)  # NaN stays NaN
        tied[rows] = ties(stored, heatmaps, HEATMAP_LIMITS["fp32"] * span)
        reference.bar.update(len(heatmaps))

    found = predict_dataset(predictor, reference.dataset, progress=False, visit=compare)
    apart = np.linalg.norm(found.keypoints - wanted.keypoints, axis=-1)
    tied &= apart > 0
    cleared = Predictions(
        found.names,
        np.where(tied[..., None], wanted.keypoints, found.keypoints),
        np.where(tied, wanted.scores, found.scores),
    )
    row = _measured(predictor, path, precision, reference.dataset, found, reference.protocols)
    return replace(
        row,
        heatmaps=float(worst),
        median=float(np.median(apart)),
        far=float(np.quantile(apart, 0.99)),
        tied=int(tied.sum()),
        entry=largest_difference(_tables(reference.protocols, reference.dataset, cleared), reference.row.tables),
    )


def _measured(
    predictor: Predictor,
    path: Path,
    precision: str,
    dataset: PoseDataset,
    found: Predictions,
    protocols: Mapping[str, Protocol],
) -> Row:
    """What a run time's row says without comparison."""
    return Row(
        predictor.run_time,
        precision,
        milliseconds=_milliseconds(predictor, dataset),
        megabytes=path.stat().st_size / 1e6,
        tables=_tables(protocols, dataset, found),
    )


def _tables(protocols: Mapping[str, Protocol], dataset: PoseDataset, predictions: Predictions) -> dict[str, Scores]:
    return {name: table.rows for name, table in score(protocols, dataset, predictions).items()}


def ties(wanted: np.ndarray, found: np.ndarray, tolerance: float) -> np.ndarray:
    """Which keypoints (N, K) may lie elsewhere, since in `wanted` (N, K, h, w) cells are equal within `tolerance`.

    Either another cell is the highest, or, beside the same one, the higher neighbour is on the other side, or the
    highest value is 0 but for the tolerance.
    """
    lead = wanted.shape[:2]
    best, other = (maps.reshape(*lead, -1).argmax(-1) for maps in (wanted, found))

    def at(maps: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return np.take_along_axis(maps.reshape(*lead, -1), cells[..., None], -1)[..., 0]

    top = at(wanted, best)
    tied = (best != other) & (top - at(wanted, other) <= tolerance)
    for axis in (2, 3):
        before, after = (at(_slope(maps, axis), best) for maps in (wanted, found))
        tied |= (best == other) & (np.sign(before) != np.sign(after)) & (np.abs(before) <= tolerance)
    return tied | ((np.abs(top) <= tolerance) & ((top > 0) != (at(found, other) > 0)))


def _slope(maps: np.ndarray, axis: int) -> np.ndarray:
    """Each cell's next neighbour minus the one before it; at the border the cell itself stands for the missing one."""
    padded = np.pad(maps, [(1, 1) if i == axis else (0, 0) for i in range(4)], mode="edge")
    size = maps.shape[axis]
    return padded.take(range(2, size + 2), axis) - padded.take(range(size), axis)


def _milliseconds(predictor: Predictor, dataset: PoseDataset, calls: int = 15) -> float:
    """Median time from one image to its keypoints, without flip test."""
    image = EvaluationBatches(dataset, predictor.recipe, 1)[0][0]
    once = lambda: predictor.recipe.codec.decode(predictor.heatmaps(image))  # noqa: E731
    return 1e3 * float(np.median(timeit.repeat(once, number=1, repeat=calls)))
