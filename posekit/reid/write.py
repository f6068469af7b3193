"""Write the keypoints, heatmaps and surface segments that MultiTaskNet (PAMTRI) reads besides the images.

```
OUT/pose_SPLIT.csv               name,x0,y0,score0,…: one row per row of the label file, in its order
OUT/heatmap_SPLIT/STEM/00.jpg    a 64×64 map per keypoint, 0–255
OUT/segment_SPLIT/STEM/00.jpg    a 64×64 map per segment of the skeleton, 255 inside it
```

Only one batch is in memory at a time. An image's two folders appear once they are complete; then its row is appended to
pose_SPLIT.csv.part. An interrupted run continues after the last row. The complete table is renamed to pose_SPLIT.csv.
The values follow MindSpore models, research/cv/PAMTRI: PoseEstNet/src/utils/function.py (`output_preds`) writes them,
MultiTaskNet/src/dataset/data_loader.py reads them.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from posekit.bars import progress_bar
from posekit.codecs import image_keypoints
from posekit.datasets.pipeline import normalise
from posekit.errors import InputError, Stopped
from posekit.files import read_json, write_json
from posekit.inference.boxes import crop_box, whole
from posekit.inference.predictors import Predictor
from posekit.predictions import check_values
from posekit.reid.multitasknet import ReidSplit, read_split
from posekit.reid.segments import SIZE, segment_maps, visible_segments
from posekit.signals import ctrl_c, restore_handlers


def heatmap_pictures(heatmaps: np.ndarray, intervals: bool = False) -> np.ndarray:
    """Convert heatmaps (K, h, h) to pictures (K, 64, 64) uint8: 0–1 becomes 0–255, values outside are clipped.

    Maps of another size are interpolated; their first cell stays the first, as in the codec. intervals: see `Codec`.
    """
    cells = heatmaps.shape[-1]
    if cells != SIZE:
        at = np.minimum(np.arange(SIZE) * (cells - intervals) / (SIZE - intervals), cells - 1)
        weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)))  # (64, h), bilinear
        heatmaps = weights @ heatmaps @ weights.T
    return np.clip(heatmaps * 255, 0, 255).astype(np.uint8)


def write_reid(
    predictor: Predictor,
    data: Path,
    splits: Sequence[str],
    out: Path,
    threshold: float | None = None,
    lossless: bool = False,
    model: str = "",
) -> dict[str, int]:
    """Write the data of `splits` into `out`, or continue an interrupted run; return {split: images computed now}.

    threshold: if given, scores of at least this become 1 and others 0, so it replaces MultiTaskNet's fixed limit of
    0.5; segments with a keypoint below it are black. Without it, scores are the heatmaps' highest values.
    lossless: write PNG instead of JPEG.
    model: identifies the network, for example a hash of its file.

    Raises InputError before anything is computed: if `out` was made with another model, run time or settings, if it has
    folders of the same name that posekit didn't make, and for all that `read_split` rejects. Raises Stopped after
    Ctrl-C or SIGTERM.
    """
    skeleton = predictor.skeleton
    if not skeleton.segments:
        raise InputError(
            f"{predictor.recipe.name} finds {skeleton.name}, which has no segments; take a vehicle's model"
        )
    if len(set(predictor.recipe.heatmap_shape)) > 1:
        raise InputError(
            f"{predictor.recipe.name} has a rectangular input, and MultiTaskNet takes square maps; take a square model"
        )
    opened = [read_split(data, split) for split in splits]
    described = {"model": model, "recipe": predictor.recipe.name, "run_time": predictor.run_time}
    settings = {"flip_test": predictor.recipe.flip_test, "threshold": threshold, "lossless": lossless}
    _claim(out, splits, described | settings)
    suffix = ".png" if lossless else ".jpg"
    try:
        with ctrl_c():
            return {split.name: _Writer(predictor, split, out, threshold, suffix).write() for split in opened}
    except KeyboardInterrupt:
        raise Stopped(f"{out}: stopped; the same command goes on with the rest") from None


def _claim(out: Path, splits: Sequence[str], made_with: Mapping[str, object]) -> None:
    """Record in OUT/reid.json how the data is made; raise InputError if `out` holds data made in another way."""
    note = out / "reid.json"
    before = read_note(out)
    for key, value in made_with.items():
        if before is not None and before.get(key) != value:
            was = f"{key} was {before.get(key)}, now it is {value}"
            raise InputError(f"{out}: holds data that was made otherwise ({was}); choose another --out")
    for split in splits:
        table = out / f"pose_{split}.csv"
        if before is not None and (table.exists() or table.with_suffix(".csv.part").exists()):
            continue
        for there in (table, out / f"heatmap_{split}", out / f"segment_{split}"):
            if there.exists():
                raise InputError(f"{there}: is there, but not from posekit reid; move it away or choose another --out")
    if before is None:
        write_json(note, made_with)


def read_note(out: Path) -> dict | None:
    """Read from OUT/reid.json how the data was made; None if there is no such file."""
    note = out / "reid.json"
    return read_json(note, "make the data again in another --out") if note.exists() else None


@dataclass(frozen=True)
class _Writer:
    """Writes the data of one split."""

    predictor: Predictor
    split: ReidSplit
    out: Path
    threshold: float | None
    suffix: str  # of the pictures

    def write(self) -> int:
        """Write the split or the rest of it; return how many images were computed."""
        total = len(self.split.images)
        table, part = (self.out / f"pose_{self.split.name}.csv{suffix}" for suffix in ("", ".part"))
        if table.is_file() and _rows_done(table, self.split) < total:
            os.replace(table, part)  # rows have been added to the label file
        if table.is_file():
            return 0
        done = _rows_done(part, self.split)
        part.touch()  # before the folders, which are somebody else's without it
        for kind in ("heatmap", "segment"):
            (self.out / f"{kind}_{self.split.name}").mkdir(exist_ok=True)
        with (
            _scratch(self.out / f".partial-{self.split.name}") as scratch,
            part.open("a", encoding="utf-8", newline="") as stream,
            progress_bar(desc=self.split.name, initial=done, total=total, unit="image") as bar,
        ):
            for line in self._lines(done, scratch):
                stream.write(line)
                stream.flush()
                bar.update()
        os.replace(part, table)
        return total - done

    def _lines(self, done: int, scratch: Path) -> Iterator[str]:
        """Yield the table's lines from row `done` on, each after its image's pictures are written."""
        total, batch = len(self.split.images), self.predictor.batch
        with ThreadPoolExecutor(2) as pool:  # pictures are decoded and encoded beside each other
            while done < total:
                rows = range(done, min(total, (done // batch + 1) * batch))
                images = list(pool.map(self.split.read, rows))
                yield from pool.map(partial(self._save, scratch), rows, images, *self._find(images, done % batch))
                done = rows.stop

    def _find(self, images: list[np.ndarray], place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict heatmaps (n, K, h, h), keypoints (n, K, 2) in pixels of each image, and scores (n, K).

        The images start at position `place` of the batch, as they would in an uninterrupted run, so that the network
        gives the same values to the last bit.
        """
        recipe = self.predictor.recipe
        crops = [crop_box(image, whole(image), recipe, self.predictor.skeleton) for image in images]
        inputs = normalise(np.stack([cut.image for cut in [crops[0]] * place + crops]), recipe)
        heatmaps = self.predictor.tested_heatmaps(inputs)[place:]
        restore_handlers()  # of Ctrl-C, which MindSpore's graph took
        return heatmaps, *image_keypoints(recipe.codec, heatmaps, np.stack([cut.matrix for cut in crops]))

    def _save(
        self,
        scratch: Path,
        row: int,
        image: np.ndarray,
        heatmaps: np.ndarray,
        keypoints: np.ndarray,
        scores: np.ndarray,
    ) -> str:
        """Write one image's pictures; return its line of the table. Segments use the rounded values of the line."""
        skeleton, name = self.predictor.skeleton, self.split.images[row]
        confidence = scores if self.threshold is None else scores >= self.threshold
        values = np.column_stack([keypoints, confidence]).ravel()
        check_values(self.out / f"pose_{self.split.name}.csv", [name], np.append(values, scores)[None])
        line = name + ",%.3f" * len(values) % tuple(values.tolist())
        written = np.array(line.split(",")[1:], float).reshape(-1, 3)
        segments = segment_maps(written[:, :2], image.shape[1], image.shape[0], skeleton)
        if self.threshold is not None:
            segments[~visible_segments(written[:, 2], skeleton)] = 0
        for kind, maps in (
            ("heatmap", heatmap_pictures(heatmaps, self.predictor.recipe.intervals)),
            ("segment", segments),
        ):
            folder = self.out / f"{kind}_{self.split.name}" / name[:-4]
            _write_pictures(maps, folder, scratch / f"{row}-{kind}", self.suffix)
        return line + "\n"


def _rows_done(table: Path, split: ReidSplit) -> int:
    """Count the split's rows in a table; an incomplete last line is removed from the file."""
    if not table.is_file():
        return 0
    done = length = 0
    with table.open("r+b") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                break
            name = line.partition(b",")[0].decode(errors="replace")
            if split.images[done : done + 1] != [name]:
                raise InputError(
                    f"{table}: row {done + 1}: {name} is not that row of label_{split.name}.csv, which was another "
                    "when this data was begun; choose another --out"
                )
            done, length = done + 1, length + len(line)
        stream.truncate(length)
    return done


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Make an empty scratch folder, after removing what a killed run left in it; remove it at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_pictures(maps: np.ndarray, folder: Path, scratch: Path, suffix: str) -> None:
    """Write maps (M, 64, 64) as 00, 01, … into `folder`, which appears once complete; an existing one is kept."""
    if folder.is_dir():  # of another row with this image, or of a run that ended before the image's row was written
        return
    scratch.mkdir()
    for number, picture in enumerate(maps):
        (scratch / f"{number:02d}{suffix}").write_bytes(cv2.imencode(suffix, picture)[1].tobytes())
    try:
        os.rename(scratch, folder)
    except OSError:
        if not folder.is_dir():  # else another row with this image was quicker
            raise
